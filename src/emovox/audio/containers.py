"""Identify the format of a recording from its content, never from its name.

FFmpeg must not guess freely: some of its formats are playlists that open other files and URLs.
"""

from typing import BinaryIO, NoReturn

from emovox.audio.mpeg import MAX_JUNK_BYTES, find_first_frame
from emovox.audio.tags import find_tag_end
from emovox.errors import AudioError

READABLE = (
    "WAV, RF64, W64, AIFF, AU, CAF, FLAC, Ogg (Vorbis, Opus, FLAC, Speex), MP3, AAC, M4A, MP4, "
    "MOV, 3GP, WebM, Matroska, AVI, FLV, MPEG, WMA, AMR, AC-3, DTS, WavPack, TTA, Monkey's Audio, "
    "Musepack, TAK, VOC, NIST SPHERE, GSM or G.722"
)
"""The formats that an error names; FFmpeg reads some rarer ones too."""

SOUNDFILE_FORMATS = frozenset("wav rf64 w64 aiff au flac ogg nist mpeg".split())
"""Formats with one track, left to libsndfile except for MPEG, if it can decode the file: its rarer
readers are not well tested."""

PROBED = "probed"
"""The format of a file that FFmpeg may identify, among ``_PROBED_DEMUXERS``."""

PROBED_DEMUXERS = (
    "ape aptx bonk dsf dss dts dtshd epaf gsm hcom iff ircam lvf mlp mpc mpc8 mpeg mpegts "
    "nut oma osq paf pvf qcp qoa rm rka shn sox tak truehd tta voc wv xwma".replace(" ", ",")
)
"""FFmpeg's formats of recordings that their content identifies, and that open no other file."""

_DEMUXERS = {"rf64": "wav", "mpeg": "mp3", "nist": "nistsphere", "mpegps": "mpeg"}

_MAGICS = {
    b"FORM": "aiff",
    b"RIFX": "wav",
    b"RF64": "rf64",
    b"riff": "w64",
    b".snd": "au",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"NIST": "nist",
    b"\x1a\x45\xdf\xa3": "matroska",
    b"caff": "caf",  # codespell:ignore caf,caff
    b"#!AMR": "amr",
    b"\x30\x26\xb2\x75": "asf",
    b"\x0b\x77": "ac3",
    b"wvpk": "wv",
    b"TTA1": "tta",
    b"FLV\x01": "flv",
    b"nut/multimedia container\0": "nut",
    b"\0\0\1\xba": "mpegps",
    b"Creative Voice File\x1a": "voc",
}
_SUFFIXES = {".g722": "g722"}
"""Formats without any structure, which only the name of the file tells."""


def identify_container(head: bytes) -> str | None:
    """Return the format of a recording that begins with ``head``, or None.

    Examples:
        >>> identify_container(b"fLaC")
        'flac'
    """
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
        return "mov"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    if head[0:377:188] == b"GGG":
        return "mpegts"
    if head[:4] == b"RIFF":
        return {b"WAVE": "wav", b"AVI ": "avi"}.get(head[8:12])
    if head[:4] == b"FORM" and head[8:12] not in (b"AIFF", b"AIFC"):
        return None
    return next((name for magic, name in _MAGICS.items() if head.startswith(magic)), None)


def find_container(file: BinaryIO, suffix: str) -> tuple[str, int] | None:
    """Return the format of a file and the position where it begins, or None if it is unknown.

    Args:
        file: Seekable binary file.
        suffix: Suffix of its name, which only decides about formats without any structure.

    Returns:
        The format, and the number of bytes of tags, padding or junk before it.
    """
    start = find_tag_end(file, 0)
    file.seek(start)
    head = file.read(MAX_JUNK_BYTES)
    kind = identify_container(head)
    if kind is not None:
        return kind, start
    first_frame = find_first_frame(head)
    if first_frame is not None:
        return "mpeg", start + first_frame
    if suffix.lower() in _SUFFIXES:
        return _SUFFIXES[suffix.lower()], start
    return (PROBED, start) if head else None


def name_demuxer(kind: str) -> str | None:
    """Return FFmpeg's name of a format, or None to let it choose among ``PROBED_DEMUXERS``."""
    return None if kind == PROBED else _DEMUXERS.get(kind, kind)


def refuse_unknown(file: BinaryIO) -> NoReturn:
    """Raise the error for a file of no known format."""
    file.seek(0)
    raise AudioError(
        f"is damaged, or not audio that can be read (begins with {file.read(8)!r}), expected "
        f"{READABLE}; copy it again or convert it. Samples without a header can be read by naming "
        "their format (emovox predict --raw-rate and --raw-format, in Python raw=RawFormat(...))",
        code="audio.unknown_format",
    )
