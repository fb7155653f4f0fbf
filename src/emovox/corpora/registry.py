"""The corpora that emovox knows by name: reader, location, licence and citation."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.locate import find_ravdess, list_places
from emovox.corpora.named import list_named
from emovox.corpora.nemo import list_nemo
from emovox.corpora.ravdess import (
    RAVDESS_ACTORS,
    RAVDESS_CITATION,
    RAVDESS_CLIPS,
    RAVDESS_LICENCE,
    RAVDESS_SONGS,
    list_song,
    read_ravdess,
)
from emovox.errors import CorpusError


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus that is known by name.

    Attributes:
        name: As on the command line, e.g. ``"nemo"``.
        title: Display name, e.g. ``"RAVDESS speech"``.
        language: The spoken language.
        n_clips: Recordings in the complete corpus, including those whose label emovox lacks.
        n_speakers: Number of speakers.
        licence: Its licence.
        citation: How to cite it.
        folders: Subfolders to search below a folder of corpora, the most likely first.
        list_clips: Lists a folder's clips; the result may be empty.
    """

    name: str
    title: str
    language: str
    n_clips: int
    n_speakers: int
    licence: str
    citation: str
    folders: tuple[str, ...]
    list_clips: Callable[[Path], CorpusListing]


def _list_speech(folder: Path) -> CorpusListing:
    return CorpusListing("ravdess", folder, tuple(read_ravdess(folder)))


CORPORA: dict[str, Corpus] = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            "ravdess",
            "RAVDESS speech",
            "English",
            RAVDESS_CLIPS,
            RAVDESS_ACTORS,
            RAVDESS_LICENCE,
            RAVDESS_CITATION,
            ("ravdess/speech", "ravdess"),
            _list_speech,
        ),
        Corpus(
            "ravdess-song",
            "RAVDESS song",
            "English",
            RAVDESS_SONGS,
            RAVDESS_ACTORS - 1,
            RAVDESS_LICENCE,
            RAVDESS_CITATION,
            (
                "ravdess/song",
                "ravdess/song16k",
                "ravdess/Audio_Song_Actors_01-24",
                "ravdess",
                "ravdess-song",
                "Audio_Song_Actors_01-24",
            ),
            list_song,
        ),
        Corpus(
            "nemo",
            "nEMO",
            "Polish",
            4481,
            9,
            "CC BY-NC-SA 4.0",
            "Christop I (2024), nEMO: Dataset of Emotional Speech in Polish, LREC-COLING 2024",
            ("nemo", "nEMO"),
            list_nemo,
        ),
        Corpus(
            "emodb",
            "EMO-DB",
            "German",
            535,
            10,
            "CC0 1.0",
            "Burkhardt F, Paeschke A, Rolfes M, Sendlmeier WF, Weiss B (2005), A Database of "
            "German Emotional Speech, Interspeech 2005: 1517-1520, "
            "doi:10.21437/Interspeech.2005-446",
            ("emodb", "EMO-DB", "EmoDB"),
            partial(list_named, "emodb"),
        ),
        Corpus(
            "emovo",
            "EMOVO",
            "Italian",
            588,
            6,
            "licence not stated; ask its authors",
            "Costantini G, Iaderola I, Paoloni A, Todisco M (2014), EMOVO Corpus: an Italian "
            "Emotional Speech Database, LREC 2014: 3501-3504",
            ("emovo", "EMOVO"),
            partial(list_named, "emovo"),
        ),
        Corpus(
            "cremad",
            "CREMA-D",
            "English",
            7442,
            91,
            "ODbL 1.0, contents DbCL 1.0",
            "Cao H, Cooper DG, Keutmann MK, Gur RC, Nenkova A, Verma R (2014), CREMA-D: "
            "Crowd-sourced Emotional Multimodal Actors Dataset, IEEE Transactions on Affective "
            "Computing 5(4): 377-390, doi:10.1109/TAFFC.2014.2336244",
            ("cremad", "CREMA-D", "crema-d"),
            partial(list_named, "cremad"),
        ),
        Corpus(
            "tess",
            "TESS",
            "English",
            2800,
            2,
            "CC BY-NC-ND 4.0",
            "Pichora-Fuller MK, Dupuis K (2020), Toronto emotional speech set (TESS), "
            "Scholars Portal Dataverse, doi:10.5683/SP2/E8H2MF",
            ("tess", "TESS"),
            partial(list_named, "tess"),
        ),
        Corpus(
            "savee",
            "SAVEE",
            "English",
            480,
            4,
            "for research, on request",
            "Haq S, Jackson PJB (2010), Multimodal Emotion Recognition, in: Machine Audition: "
            "Principles, Algorithms and Systems, IGI Global: 398-423, "
            "doi:10.4018/978-1-61520-919-4.ch017",
            ("savee", "SAVEE"),
            partial(list_named, "savee"),
        ),
    )
}
"""The corpora by name."""


def identify_speaker(clip: Clip) -> str:
    """Return an identifier of a clip's speaker that is comparable across corpora.

    The same speaker name in two user-supplied lists means the same person, although each list
    adds its own prefix. Speakers of a known corpus appear in no other corpus.

    Args:
        clip: A clip of any corpus.

    Returns:
        An identifier that is equal for the same person.

    Examples:
        >>> from pathlib import Path
        >>> both = [Clip("", Path(), half, "sad", f"{half}-ann") for half in ("a", "b")]
        >>> identify_speaker(both[0]) == identify_speaker(both[1])
        True
    """
    own = clip.corpus not in CORPORA and clip.has_speaker
    return f"of a list: {clip.speaker.removeprefix(f'{clip.corpus}-')}" if own else clip.speaker


def is_path(source: str) -> bool:
    """Return whether a corpus is given by a path such as ``"./mine"`` rather than by name."""
    return "/" in source or os.sep in source or Path(source).suffix != ""


def find_corpus(name: str, data: Path | None = None) -> CorpusListing:
    """Find a known corpus and list its clips.

    Searches the same locations as ``emovox.corpora.locate.find_ravdess``: only ``data`` if it is
    given, otherwise ``EMOVOX_DATA`` and the cache.

    Args:
        name: One of ``CORPORA``.
        data: The folder given with ``--data``.

    Returns:
        The listing of the first location with a clip.

    Raises:
        CorpusError: No location has a clip, or a named folder does not exist.
    """
    corpus = CORPORA[name]
    if name == "ravdess":
        return corpus.list_clips(find_ravdess(data))
    places = list_places(data)
    for place in places.values():
        for folder in (*(place / below for below in corpus.folders), place):
            if folder.is_dir():
                listing = corpus.list_clips(folder)
                if listing.clips:
                    return listing
    looked = ", ".join(f"{folder} ({source})" for source, folder in places.items())
    raise CorpusError(
        f"no clip of {corpus.title} found in {looked}: expected its folder below one of these, as "
        f"{corpus.folders[0]}; put it there, or name the folder that holds it with --data or "
        "EMOVOX_DATA",
        code="corpus.missing",
    )


def describe_licence(names: Iterable[str]) -> str:
    """Return the licence note for weights trained on these corpora."""
    parts = []
    for name in names:
        known = CORPORA.get(name)
        parts.append(
            f"{known.title} ({known.licence}; {known.citation})"
            if known
            else f"{name} (licence: ask its authors)"
        )
    return f"Weights trained on {'; '.join(parts)}"
