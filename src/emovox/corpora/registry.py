"""The corpora that emovox knows by name: reader, location, licence and citation."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from emovox.corpora.banglaser import list_banglaser
from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.crema_d import list_cremad, list_cremad_heard
from emovox.corpora.emozionalmente import list_emozionalmente
from emovox.corpora.locate import find_ravdess, list_places
from emovox.corpora.named import list_mesd, list_named
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
from emovox.corpora.thai_ser import list_thai_ser
from emovox.errors import CorpusError
from emovox.recognition.model_info import CorpusCredit


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

    @property
    def url(self) -> str:
        """Where the corpus is published; empty if unknown."""
        return URLS.get(self.name, "")


URLS = {
    "ravdess": "https://zenodo.org/records/1188976",
    "ravdess-song": "https://zenodo.org/records/1188976",
    "nemo": "https://arxiv.org/abs/2404.06292",
    "emodb": "https://github.com/audeering/emodb",
    "cremad": "https://github.com/CheyneyComputerScience/CREMA-D",
    "cremad-heard": "https://github.com/CheyneyComputerScience/CREMA-D",
    "tess": "https://doi.org/10.5683/SP2/E8H2MF",
    "ased": "https://arxiv.org/abs/2201.02710",
    "banglaser": "https://data.mendeley.com/datasets/t9h6p943xy",
    "aesdd": "http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/",
    "emozionalmente": "https://zenodo.org/records/12616095",
    "subesco": "https://zenodo.org/records/4526477",
    "jl": "https://www.kaggle.com/datasets/tli725/jl-corpus",
    "thai-ser": "https://arxiv.org/abs/2507.09618",
    "mesd": "https://data.mendeley.com/datasets/cy34mh68j9",
}
"""Where corpora are published, or where their licence is stated."""


def _list_speech(folder: Path) -> CorpusListing:
    return CorpusListing("ravdess", folder, tuple(read_ravdess(folder)))


_CREMAD = Corpus(
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
    list_cremad,
)

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
        _CREMAD,
        replace(
            _CREMAD,
            name="cremad-heard",
            title="CREMA-D as heard",
            list_clips=list_cremad_heard,
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
        Corpus(
            "ased",
            "ASED",
            "Amharic",
            2474,
            65,
            "licence not stated; for research",
            "Retta EA, Almekhlafi E, Sutcliffe R, Mhamed M, Ali H, Feng J (2023), A New Amharic "
            "Speech Emotion Dataset and Classification Benchmark, ACM Transactions on Asian and "
            "Low-Resource Language Information Processing 22(1), doi:10.1145/3529759",
            ("ased", "ASED", "ASED_V1"),
            partial(list_named, "ased"),
        ),
        Corpus(
            "banglaser",
            "BanglaSER",
            "Bangla",
            1467,
            34,
            "CC BY 4.0",
            "Das RK, Islam N, Ahmed MR, Islam S, Shatabda S, Islam AKMM (2022), BanglaSER: A "
            "speech emotion recognition dataset for the Bangla language, Data in Brief 42: "
            "108091, doi:10.17632/t9h6p943xy",
            ("banglaser", "BanglaSER"),
            list_banglaser,
        ),
        Corpus(
            "aesdd",
            "AESDD",
            "Greek",
            604,
            6,
            "public, for research",
            "Vryzas N, Kotsakis R, Liatsou A, Dimoulas CA, Kalliris G (2018), Speech Emotion "
            "Recognition for Performance Interaction, Journal of the Audio Engineering Society "
            "66(6): 457-467",
            ("aesdd", "AESDD", "Acted Emotional Speech Dynamic Database"),
            partial(list_named, "aesdd"),
        ),
        Corpus(
            "emozionalmente",
            "Emozionalmente",
            "Italian",
            6902,
            431,
            "CC BY 4.0",
            "Catania F, Wilke JW, Garzotto F (2025), Emozionalmente: A Crowdsourced Corpus of "
            "Simulated Emotional Speech in Italian, IEEE Transactions on Audio, Speech and "
            "Language Processing 33: 1142-1155, doi:10.1109/TASLPRO.2025.3540662",
            ("emozionalmente", "emozionalmente_dataset"),
            list_emozionalmente,
        ),
        Corpus(
            "subesco",
            "SUBESCO",
            "Bangla",
            7000,
            20,
            "CC BY 4.0",
            "Sultana S, Rahman MS, Selim MR, Iqbal MZ (2021), SUST Bangla Emotional Speech "
            "Corpus (SUBESCO): An audio-only emotional speech corpus for Bangla, PLoS ONE "
            "16(4): e0250173",
            ("subesco", "SUBESCO"),
            partial(list_named, "subesco"),
        ),
        Corpus(
            "jl",
            "JL corpus",
            "English",
            2400,
            4,
            "CC0 1.0",
            "James J, Tian L, Watson C (2018), An Open Source Emotional Speech Corpus for Human "
            "Robot Interaction Applications, Interspeech 2018: 2768-2772",
            ("jl", "jl-corpus", "JL-Corpus"),
            partial(list_named, "jl"),
        ),
        Corpus(
            "thai-ser",
            "THAI SER",
            "Thai",
            27854,
            200,
            "CC BY-SA 4.0",
            "Wongpithayadisai J, Chaksangchaichot C, Sangnark S, et al. (2025), THAI Speech "
            "Emotion Recognition (THAI-SER) corpus, arXiv:2507.09618",
            ("thai-ser", "THAISER", "thai_ser"),
            list_thai_ser,
        ),
        Corpus(
            "mesd",
            "MESD",
            "Spanish",
            862,
            11,
            "CC BY 4.0",
            "Duville MM, Alonso-Valerdi LM, Ibarra-Zarate DI (2021), Mexican Emotional Speech "
            "Database Based on Semantic, Frequency, Familiarity, Concreteness, and Cultural "
            "Shaping of Affective Prosody, Data 6(12): 130, doi:10.17632/cy34mh68j9",
            ("mesd", "MESD", "Mexican Emotional Speech Database (MESD)"),
            list_mesd,
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


def list_credits(names: Iterable[str]) -> tuple[CorpusCredit, ...]:
    """Return licence and credit of corpora, as model files hold them."""
    found = ((name, CORPORA.get(name)) for name in names)
    return tuple(
        CorpusCredit(name, known.licence, f"{known.title}: {known.citation}", known.url)
        if known
        else CorpusCredit(name, "ask its authors", "", "")
        for name, known in found
    )
