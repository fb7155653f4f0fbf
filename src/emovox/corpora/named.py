"""Corpora whose file names encode the labels, from EMO-DB to MESD."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from emovox.corpora.clips import FURTHER_COPIES, UNKNOWN_SPEAKER, Clip, CorpusListing
from emovox.corpora.folders import rank_copy, walk_corpus
from emovox.labels import map_label


@dataclass(frozen=True, slots=True)
class NamedRecording:
    """Metadata encoded in a file name.

    Attributes:
        name: The recording's name, unique within the corpus.
        label: The emotion in the corpus' notation.
        speaker: The speaker in the corpus' notation.
        gender: ``"male"`` or ``"female"``, if encoded or published.
        sentence: The spoken text or its number, if encoded.
        intensity: The emotional intensity, if encoded.
        repetition: Number of the take, from 1, if encoded.
    """

    name: str
    label: str
    speaker: str
    gender: str | None
    sentence: str | None = None
    intensity: str | None = None
    repetition: int | None = None


_EMODB = re.compile(r"(03|08|09|1[0-6])([ab][0-9]{2})([WLEAFTN])([a-z])")
_EMODB_MEN = {"03", "10", "11", "12", "15"}
_EMODB_SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}

_EMOVO = re.compile(r"(dis|gio|neu|pau|rab|sor|tri)-([mf][1-3])-([bdln][1-9])", re.IGNORECASE)

_CREMAD = re.compile(r"(10[0-9]{2})_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX?)")
_CREMAD_INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high"}
_CREMAD_SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
# From the corpus' VideoDemographics.csv; the other 48 are men.
_CREMAD_WOMEN = {
    *(1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025),
    *(1028, 1029, 1030, 1037, 1043, 1046, 1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060),
    *(1061, 1063, 1072, 1073, 1074, 1075, 1076, 1078, 1079, 1082, 1084, 1089, 1091),
}

# One file of the corpus has OA instead of OAF.
_TESS = re.compile(r"(OAF?|YAF)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)", re.IGNORECASE)

_SAVEE = re.compile(r"(?:(DC|JE|JK|KL)_)?(sa|su|[adfhn])([0-9]{2})")
_SAVEE_SPEAKERS = ("DC", "JE", "JK", "KL")

_ASED = re.compile(r"(n1|f2|h3|s4|a5)-(0[1-7])-(0[12])-0[12]-([0-9]{2})", re.IGNORECASE)
# By most of each speaker's files: of five speakers, one file each has the other code.
_ASED_WOMEN = {
    *(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27),
    *(29, 31, 33, 35, 37, 43, 47, 48, 49, 58, 62),
}
_ASED_SPEAKERS = 65

_AESDD = re.compile(r"([adfhs])([0-9]{2}) \(0?([1-9])\)([a-z]?)")
_AESDD_FOLDERS = ("anger", "disgust", "fear", "happiness", "sadness")

_SUBESCO = re.compile(
    r"([FM])_([0-9]{2})_([A-Z]+)_S_([0-9]{1,2})_"
    r"(ANGRY|DISGUST|FEAR|HAPPY|NEUTRAL|SAD|SURPRISE)_([0-9])\]?"
)

_JL = re.compile(r"((?:fe)?male)([12])_([a-z]+)_([0-9]{1,2}[a-z])_([0-9])")

_MESD = re.compile(r"(Anger|Disgust|Fear|Happiness|Neutral|Sadness)_([FMC])_[AB]_(.+)")
_MESD_GENDERS = {"F": "female", "M": "male", "C": None}


def parse_emodb_name(file: Path) -> NamedRecording | None:
    """Parse an EMO-DB name such as ``03a01Fa``: speaker, sentence, emotion, version.

    Codes, speakers and sentences: http://emodb.bilderbar.info/index-1280.html.
    """
    match = _EMODB.fullmatch(file.stem)
    if match is None:
        return None
    speaker, sentence, label, _ = match.groups()
    gender = "male" if speaker in _EMODB_MEN else "female"
    return NamedRecording(file.stem, label, speaker, gender, _EMODB_SENTENCES.get(sentence))


def parse_emovo_name(file: Path) -> NamedRecording | None:
    """Parse an EMOVO name such as ``gio-f1-b1``: emotion, speaker, sentence (Costantini, 2014)."""
    match = _EMOVO.fullmatch(file.stem)
    if match is None:
        return None
    label, speaker, _ = match.group().lower().split("-")
    gender = "male" if speaker.startswith("m") else "female"
    return NamedRecording(match.group().lower(), label, speaker, gender)


def parse_cremad_name(file: Path) -> NamedRecording | None:
    """Parse a CREMA-D name such as ``1001_DFA_ANG_XX``: actor, sentence, emotion, level.

    Codes: https://github.com/CheyneyComputerScience/CREMA-D.
    """
    match = _CREMAD.fullmatch(file.stem)
    if match is None or not 1001 <= int(match[1]) <= 1091:
        return None
    actor, sentence, label, level = match.groups()
    gender = "female" if int(actor) in _CREMAD_WOMEN else "male"
    words, intensity = _CREMAD_SENTENCES.get(sentence), _CREMAD_INTENSITIES.get(level)
    return NamedRecording(file.stem, label, actor, gender, words, intensity)


def parse_tess_name(file: Path) -> NamedRecording | None:
    """Parse a TESS name such as ``OAF_back_angry``: talker, word, emotion; both are women."""
    match = _TESS.fullmatch(file.stem)
    if match is None:
        return None
    talker = "YAF" if match[1].upper() == "YAF" else "OAF"
    word, label = match[2].lower(), match[3].lower()
    return NamedRecording(
        f"{talker}_{word}_{label}", label, talker, "female", f"Say the word {word}"
    )


def parse_savee_name(file: Path) -> NamedRecording | None:
    """Parse a SAVEE name: ``DC_sa01``, or ``sa01`` in folder ``DC``; all speakers are men."""
    match = _SAVEE.fullmatch(file.stem)
    speaker = match[1] or file.parent.name if match else None
    if match is None or speaker not in _SAVEE_SPEAKERS:
        return None
    return NamedRecording(f"{speaker}_{match[2]}{match[3]}", match[2], speaker, "male")


def parse_ased_name(file: Path) -> NamedRecording | None:
    """Parse an ASED name such as ``h3-06-01-02-57``: emotion, sentence, take, gender, speaker.

    Naming: https://github.com/Ethio2021/ASED_V1. Equal sentence numbers of two emotions may be
    different sentences.
    """
    match = _ASED.fullmatch(file.stem)
    if match is None or not 1 <= int(match[4]) <= _ASED_SPEAKERS:
        return None
    label, sentence, take, speaker = match.groups()
    gender = "female" if int(speaker) in _ASED_WOMEN else "male"
    name, words = file.stem.lower(), f"sentence {sentence}"
    return NamedRecording(name, label.lower(), speaker, gender, words, repetition=int(take))


def parse_aesdd_name(file: Path) -> NamedRecording | None:
    """Parse an AESDD name such as ``a03 (4)`` in folder ``anger``: emotion, sentence, speaker.

    A second take ends in a letter, as ``a06 (5)b``; speaker 1 is also written ``01``. Naming:
    the README of AESDD v1.0, http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/.
    """
    match, label = _AESDD.fullmatch(file.stem), file.parent.name.lower()
    if match is None or label not in _AESDD_FOLDERS or label[0] != match[1]:
        return None
    letter, sentence, speaker, take = match.groups()
    name = f"{letter}{sentence}-{speaker}{take}"
    return NamedRecording(name, label, speaker, None, f"sentence {sentence}")


def parse_subesco_name(file: Path) -> NamedRecording | None:
    """Parse a SUBESCO name such as ``F_02_MONIKA_S_1_NEUTRAL_5``.

    Gender, speaker, the speaker's name, sentence, emotion, take; one published name ends in ``]``.
    Naming: https://huggingface.co/datasets/sustcsenlp/bn_emotion_speech_corpus.
    """
    match = _SUBESCO.fullmatch(file.stem)
    if match is None:
        return None
    sex, number, _, sentence, label, take = match.groups()
    return NamedRecording(
        file.stem.rstrip("]"),
        label,
        f"{sex}_{number}",
        "female" if sex == "F" else "male",
        f"sentence {sentence}",
        repetition=int(take),
    )


def parse_jl_name(file: Path) -> NamedRecording | None:
    """Parse a JL corpus name such as ``female1_angry_1a_1``: speaker, emotion, sentence, session.

    Naming: the corpus' README, https://www.kaggle.com/datasets/tli725/jl-corpus. The emotion is
    any word: there are secondary ones, such as anxious.
    """
    match = _JL.fullmatch(file.stem)
    if match is None:
        return None
    gender, number, label, sentence, _ = match.groups()
    return NamedRecording(
        file.stem, label, f"{gender}{number}", gender, f"{label} sentence {sentence}"
    )


def parse_mesd_name(file: Path) -> NamedRecording | None:
    """Parse a MESD name such as ``Anger_C_A_abajo``: emotion, voice, word list, word.

    The voice is female, male or a child's; which of its speakers it is, no name tells. Naming:
    https://data.mendeley.com/datasets/cy34mh68j9/5 and its reader in
    https://github.com/felixbur/nkululeko/tree/main/data/mesd.
    """
    match = _MESD.fullmatch(file.stem)
    if match is None:
        return None
    label, voice, word = match.groups()
    words = word.replace("_", " ")
    return NamedRecording(file.stem, label, UNKNOWN_SPEAKER, _MESD_GENDERS[voice], words)


NAMED_CORPORA: dict[str, Callable[[Path], NamedRecording | None]] = {
    "emodb": parse_emodb_name,
    "emovo": parse_emovo_name,
    "cremad": parse_cremad_name,
    "tess": parse_tess_name,
    "savee": parse_savee_name,
    "ased": parse_ased_name,
    "aesdd": parse_aesdd_name,
    "subesco": parse_subesco_name,
    "jl": parse_jl_name,
    "mesd": parse_mesd_name,
}
"""Parser of each corpus' file names; it returns ``None`` for a file of another corpus."""


def list_named(corpus: str, folder: Path) -> CorpusListing:
    """List the recordings below a folder that are named as in a corpus, each once.

    Args:
        corpus: One of ``NAMED_CORPORA``.
        folder: The folder to search recursively.

    Returns:
        The clips, sorted by name; may be empty.

    Raises:
        CorpusError: The folder is missing or unreadable.
    """
    return list_recordings(corpus, folder, NAMED_CORPORA[corpus], walk_corpus(folder))


def list_recordings(
    corpus: str,
    folder: Path,
    parse: Callable[[Path], NamedRecording | None],
    files: Iterable[tuple[int, str]],
) -> CorpusListing:
    """List those of some files, given by depth and path, whose name can be parsed, each once."""
    copies: dict[str, list[tuple[tuple[int, int, str], NamedRecording]]] = {}
    for depth, file in files:
        recording = parse(Path(file))
        if recording is not None:
            copies.setdefault(recording.name, []).append((rank_copy(depth, file), recording))
    clips = []
    for name in sorted(copies):
        (_, _, file), recording = min(copies[name], key=lambda copy: copy[0])
        emotion = map_label(recording.label, corpus)
        clips.append(make_named_clip(corpus, recording, Path(file), emotion))
    n_more = sum(len(found) - 1 for found in copies.values())
    skipped = ((FURTHER_COPIES, n_more),) if n_more else ()
    return CorpusListing(corpus, folder, tuple(clips), skipped)


def list_mesd(folder: Path) -> CorpusListing:
    """List MESD's recordings, without the voices whose naturalness was reduced.

    Raises:
        CorpusError: The folder is missing or unreadable.
    """
    listing = list_named("mesd", folder)
    human = tuple(c for c in listing.clips if "reduced" not in str(c.path.relative_to(folder)))
    n_reduced = len(listing.clips) - len(human)
    reduced = (("voices of reduced naturalness", n_reduced),) if n_reduced else ()
    return replace(listing, clips=human, skipped=(*listing.skipped, *reduced))


def make_named_clip(corpus: str, recording: NamedRecording, path: Path, emotion: str) -> Clip:
    """Make the clip of a recording from its parsed name."""
    return Clip(
        name=f"{corpus}-{recording.name}",
        path=path,
        corpus=corpus,
        emotion=emotion,
        speaker=f"{corpus}-{recording.speaker}",
        gender=recording.gender,
        sentence=recording.sentence,
        intensity=recording.intensity,
        repetition=recording.repetition,
    )
