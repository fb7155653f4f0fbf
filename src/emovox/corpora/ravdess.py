"""RAVDESS speech and song: parse file names, and list the clips in a folder."""

import os
import re
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

from emovox.corpora.banglaser import walk_alike
from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.folders import rank_copy
from emovox.errors import CorpusError
from emovox.labels import RAVDESS_EMOTIONS

RAVDESS_CLIPS = 1440
"""Clips in the complete speech part: 60 by each of 24 actors."""

RAVDESS_SONGS = 1012
"""Clips in the complete song part; actor 18 has none."""

RAVDESS_ACTORS = 24

RAVDESS_LICENCE = "CC BY-NC-SA 4.0"

RAVDESS_CITATION = (
    "Livingstone SR, Russo FA (2018), The Ryerson Audio-Visual Database of Emotional Speech "
    "and Song (RAVDESS), PLoS ONE 13(5): e0196391"
)

_MODALITIES = {"01": "audio-video", "02": "video", "03": "audio"}
_CHANNELS = {"01": "speech", "02": "song"}
_INTENSITIES = {"01": "normal", "02": "strong"}
_SENTENCES = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
_REPETITIONS = {"01": 1, "02": 2}
_ACTORS = {f"{actor:02d}": actor for actor in range(1, RAVDESS_ACTORS + 1)}
_NAME = re.compile("-".join(["([0-9]{2})"] * 7))
_ACTOR_FOLDER = re.compile(r"actor[_ -]?([0-9]{1,2})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RavdessName:
    """The seven fields of a RAVDESS file name.

    Attributes:
        modality: ``"audio-video"``, ``"video"`` or ``"audio"``.
        channel: ``"speech"`` or ``"song"``.
        emotion: One of ``emovox.labels.EMOTIONS``.
        intensity: ``"normal"`` or ``"strong"``.
        sentence: The statement that is spoken or sung.
        repetition: First or second take, 1 or 2.
        actor: 1 to 24.
    """

    modality: str
    channel: str
    emotion: str
    intensity: str
    sentence: str
    repetition: int
    actor: int

    @property
    def gender(self) -> str:
        """``"male"`` for odd actors, ``"female"`` for even ones."""
        return "male" if self.actor % 2 else "female"

    @property
    def is_speech_audio(self) -> bool:
        """Whether this is one of the 1,440 audio-only speech clips."""
        return self.is_audio_of("speech")

    def is_audio_of(self, channel: str) -> bool:
        """Whether this is an audio-only clip of ``"speech"`` or of ``"song"``."""
        return self.modality == "audio" and self.channel == channel


@dataclass(frozen=True, slots=True)
class RavdessListing:
    """All RAVDESS speech or song files in a folder, identified by name only.

    Attributes:
        folder: The folder that was searched.
        clips: Each clip once, by actor, then by name.
        duplicates: Additional copies of these clips, not used.
        misplaced: Used clips in an ``Actor_NN`` folder of a different actor.
        strays: Audio files with no valid RAVDESS name, or in a folder of BanglaSER, not used.
    """

    folder: Path
    clips: tuple[Clip, ...]
    duplicates: tuple[Path, ...]
    misplaced: tuple[Path, ...]
    strays: tuple[Path, ...]


def parse_ravdess_name(name: str) -> RavdessName:
    """Parse a RAVDESS file name.

    Args:
        name: File name without its extension: modality, channel, emotion, intensity, statement,
            repetition and actor as two digits each, joined by hyphens.

    Returns:
        The values of the seven fields.

    Raises:
        CorpusError: The name has a different form, or a code that RAVDESS does not have.

    Examples:
        >>> parse_ravdess_name("03-01-06-02-01-02-12").emotion
        'fearful'
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise CorpusError(
            f"{name!r} is not a RAVDESS name: expected seven two-digit fields joined by hyphens, "
            "such as 03-01-06-02-01-02-12"
        )
    modality, channel, emotion, intensity, sentence, repetition, actor = match.groups()
    try:
        parsed = RavdessName(
            modality=_MODALITIES[modality],
            channel=_CHANNELS[channel],
            emotion=RAVDESS_EMOTIONS[emotion],
            intensity=_INTENSITIES[intensity],
            sentence=_SENTENCES[sentence],
            repetition=_REPETITIONS[repetition],
            actor=_ACTORS[actor],
        )
    except KeyError as error:
        raise CorpusError(
            f"{name!r} is not a RAVDESS name: found the unknown code {error.args[0]!r}; expected "
            "modality 01-03, channel 01-02, emotion 01-08, intensity 01-02, statement 01-02, "
            "repetition 01-02, actor 01-24"
        ) from None
    if parsed.emotion == "neutral" and parsed.intensity == "strong":
        raise CorpusError(f"{name!r} is not a RAVDESS name: neutral has intensity 01 only")
    return parsed


def is_ravdess_name(name: str) -> bool:
    """Return whether a file name, without its extension, is a RAVDESS name."""
    try:
        parse_ravdess_name(name)
    except CorpusError:
        return False
    return True


@cache
def list_ravdess_names() -> tuple[str, ...]:
    """Return the names of all 1,440 speech clips, without extensions, by actor, then by name."""
    return tuple(
        f"03-01-{emotion}-{intensity}-{sentence}-{repetition}-{actor}"
        for actor, emotion, intensity, sentence, repetition in product(
            _ACTORS, RAVDESS_EMOTIONS, _INTENSITIES, _SENTENCES, _REPETITIONS
        )
        if (emotion, intensity) != ("01", "02")
    )


def read_ravdess(folder: Path) -> list[Clip]:
    """List the RAVDESS speech clips in a folder, each once, without opening them.

    Accepts the official zip's layout, loose files, copies in other formats, and the Kaggle mirror,
    which contains the set twice. Songs and videos are ignored. Of several copies of a clip, the
    one nearest to ``folder`` is used.

    Args:
        folder: The folder to search recursively.

    Returns:
        The clips by actor number, then by name; fewer than ``RAVDESS_CLIPS`` if some are missing.

    Raises:
        CorpusError: The folder is missing or unreadable, or contains no such clip.
    """
    clips = list(scan_ravdess(folder).clips)
    if not clips:
        raise CorpusError(
            f"{folder} holds no RAVDESS speech clip: expected files named like "
            "03-01-06-02-01-02-12.wav in it or its subfolders; name another folder or run "
            "'emovox data fetch ravdess'"
        )
    return clips


def holds_ravdess(folder: Path) -> bool:
    """Return whether a folder has a RAVDESS speech clip; the search stops at the first."""
    return any(
        not is_other and _is_speech(Path(file).stem) for is_other, _, file in walk_alike(folder)
    )


def list_song(folder: Path) -> CorpusListing:
    """List the RAVDESS songs in a folder, each once: the same actors as in speech.

    Accepts the layout of ``Audio_Song_Actors_01-24.zip``, loose files, and copies in other
    formats; speech and videos are ignored.

    Args:
        folder: The folder to search recursively.

    Returns:
        The songs by actor number, then by name; may be empty.

    Raises:
        CorpusError: The folder is missing or unreadable.
    """
    return CorpusListing("ravdess-song", folder, scan_ravdess(folder, "song").clips)


def scan_ravdess(folder: Path, channel: str = "speech") -> RavdessListing:
    """List RAVDESS speech in a folder, with duplicate, misplaced and stray files.

    Args:
        folder: The folder to search recursively.
        channel: ``"speech"`` or ``"song"``.

    Returns:
        The listing; it may be empty.

    Raises:
        CorpusError: The folder is missing or unreadable.
    """
    copies: dict[str, list[tuple[bool, tuple[int, int, str]]]] = {}
    names: dict[str, RavdessName] = {}
    strays: list[Path] = []
    for is_other, depth, file in walk_alike(folder):
        stem = os.path.splitext(os.path.basename(file))[0]
        if is_other:
            strays.append(Path(file))
            continue
        try:
            parsed = parse_ravdess_name(stem)
        except CorpusError:
            strays.append(Path(file))
            continue
        if parsed.is_audio_of(channel):
            names[stem] = parsed
            misplaced = _contradicts_folder(file, parsed.actor)
            copies.setdefault(stem, []).append((misplaced, rank_copy(depth, file)))
    chosen = {stem: min(found) for stem, found in copies.items()}
    clips = [
        make_ravdess_clip(stem, names[stem], Path(best[1][2])) for stem, best in chosen.items()
    ]
    return RavdessListing(
        folder=folder,
        clips=tuple(sorted(clips, key=lambda clip: (names[clip.name].actor, clip.name))),
        duplicates=tuple(
            Path(copy[1][2]) for stem in sorted(copies) for copy in sorted(copies[stem])[1:]
        ),
        misplaced=tuple(Path(chosen[stem][1][2]) for stem in sorted(chosen) if chosen[stem][0]),
        strays=tuple(sorted(strays)),
    )


def _is_speech(stem: str) -> bool:
    try:
        return parse_ravdess_name(stem).is_audio_of("speech")
    except CorpusError:
        return False


def _contradicts_folder(file: str, actor: int) -> bool:
    match = _ACTOR_FOLDER.fullmatch(os.path.basename(os.path.dirname(file)))
    return match is not None and int(match[1]) != actor


def make_ravdess_clip(name: str, parsed: RavdessName, path: Path) -> Clip:
    """Make the clip of a RAVDESS recording from its parsed name."""
    return Clip(
        name=name,
        path=path,
        corpus="ravdess" if parsed.channel == "speech" else "ravdess-song",
        emotion=parsed.emotion,
        speaker=str(parsed.actor),
        gender=parsed.gender,
        sentence=parsed.sentence,
        intensity=parsed.intensity,
        repetition=parsed.repetition,
    )
