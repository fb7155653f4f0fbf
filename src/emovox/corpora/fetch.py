"""Install RAVDESS speech, downloaded from Zenodo or unpacked from a local zip file."""

import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from emovox.cores import count_cores
from emovox.corpora.download import RemoteFile, download_file
from emovox.corpora.findings import find_unusable
from emovox.corpora.locate import find_cache
from emovox.corpora.measure import Measured, measure_clip
from emovox.corpora.ravdess import (
    RAVDESS_CLIPS,
    list_ravdess_names,
    parse_ravdess_name,
    scan_ravdess,
)
from emovox.errors import CorpusError
from emovox.files import sync_file

Report = Callable[[str, int, int], None]

RAVDESS_ARCHIVE = RemoteFile(
    url="https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1",
    size_bytes=208_468_073,
    checksum="md5:bc696df654c87fed845eb13823edef8a",
)
"""The speech archive, with size and MD5 from https://zenodo.org/records/1188976."""

_MOST_CLIP_BYTES = 8 << 20
"""The longest original clip, 5.3 s in stereo, is about 1 MB."""

_MOST_BYTES = 2 << 30
"""All original clips together are 590 MB."""

_MOST_ENTRIES = 20_000
"""Kaggle's archive has about 2,900."""


@dataclass(frozen=True, slots=True)
class FetchedCorpus:
    """A complete corpus on this machine.

    Attributes:
        folder: Its folder.
        clips: Number of clips.
        installed: Whether this call installed it; false if it was already installed.
    """

    folder: Path
    clips: int
    installed: bool


def fetch_ravdess(
    folder: Path | None = None,
    *,
    archive: Path | None = None,
    remote: RemoteFile | None = None,
    report: Report = lambda _step, _done, _whole: None,
) -> FetchedCorpus:
    """Install RAVDESS speech, completely or not at all.

    Args:
        folder: Destination of ``Actor_01`` to ``Actor_24``; defaults to the cache. A folder that
            already has all clips is not changed.
        archive: A local zip, the official one or Kaggle's, to use instead of a download.
        remote: The archive to download; defaults to Zenodo's. ``EMOVOX_RAVDESS_URL`` sets a
            mirror of the same file.
        report: Called with the step (``"download"``, ``"unpack"``, ``"verify"``), the amount done
            and the total: bytes for the download, otherwise clips.

    Returns:
        The folder and whether this call installed it.

    Raises:
        CorpusError: The folder contains something else, or the zip is damaged or not RAVDESS.
        DownloadError: The download failed.
    """
    target = (folder or find_cache() / "ravdess").expanduser()
    if target.exists() and not _is_free(target):
        return FetchedCorpus(target, RAVDESS_CLIPS, installed=False)
    if archive is not None:
        unpack_ravdess(archive, target, report=report)
        return FetchedCorpus(target, RAVDESS_CLIPS, installed=True)
    downloaded = download_file(
        remote or find_archive(),
        find_cache() / "downloads" / "Audio_Speech_Actors_01-24.zip",
        report=lambda done, whole: report("download", done, whole),
    )
    unpack_ravdess(downloaded, target, report=report)
    downloaded.unlink()
    return FetchedCorpus(target, RAVDESS_CLIPS, installed=True)


def find_archive() -> RemoteFile:
    """Return the archive of the speech part: Zenodo's, or a mirror's (``EMOVOX_RAVDESS_URL``)."""
    mirror = os.environ.get("EMOVOX_RAVDESS_URL") or RAVDESS_ARCHIVE.url
    return replace(RAVDESS_ARCHIVE, url=mirror)


def unpack_ravdess(
    archive: Path, folder: Path, *, report: Report = lambda _step, _done, _whole: None
) -> None:
    """Unpack the 1,440 speech clips of a zip into a new folder, completely or not at all.

    Each clip is written to ``Actor_NN/NAME.wav``, derived from its validated name and never from
    a path in the zip; other entries are ignored. Every clip is decoded before the folder gets its
    name.

    Args:
        archive: The zip file.
        folder: The folder to create; it may exist if it is empty.
        report: Called with ``"unpack"``, then ``"verify"``, the clips done and the total.

    Raises:
        CorpusError: The zip is damaged, unsafe, too large or lacks clips, a clip cannot be decoded,
            or the folder cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = _choose_members(zipped, archive)
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".ravdess-", dir=folder.parent) as made:
                whole = Path(made) / "ravdess"
                for done, (name, member) in enumerate(sorted(members.items()), 1):
                    suffix = PurePosixPath(member.filename).suffix.lower()
                    clip = whole / f"Actor_{name[-2:]}" / f"{name}{suffix}"
                    clip.parent.mkdir(parents=True, exist_ok=True)
                    # zipfile stops at the declared size and checks the CRC of the data.
                    with zipped.open(member) as packed, clip.open("wb") as unpacked:
                        shutil.copyfileobj(packed, unpacked)
                    report("unpack", done, len(members))
                _require_sound(whole, archive, report)
                if folder.exists():
                    folder.rmdir()
                whole.rename(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise CorpusError(
            f"{archive} is not a sound zip file ({error}): expected Audio_Speech_Actors_01-24.zip "
            "or Kaggle's archive; download it again"
        ) from error
    except OSError as error:
        raise CorpusError(
            f"cannot unpack {archive} into {folder}: {error.strerror or error}; expected a zip "
            "file that can be read and about 600 MB free; name another file or folder"
        ) from error


def _require_sound(folder: Path, archive: Path, report: Report) -> None:
    """Refuse clips that cannot be decoded; wait until the others are on the disk."""
    clips = scan_ravdess(folder).clips
    measured: Measured = {}
    with ThreadPoolExecutor(count_cores()) as pool:
        for clip, facts in zip(clips, pool.map(measure_clip, (c.path for c in clips)), strict=True):
            measured[clip.path] = facts
            report("verify", len(measured), len(clips))
    unusable = find_unusable(clips, measured)
    if unusable:
        first = next(clip for clip in clips if clip.name in unusable)
        raise CorpusError(
            f"{archive}: {len(unusable):,} of {len(clips):,} clips cannot be used, the first: "
            f"{first.path.name} {unusable[first.name][1]}; get the zip from another source"
        )
    # One after the other, the disk would take ten times as long.
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sync_file, (clip.path for clip in clips)))


def _is_free(folder: Path) -> bool:
    """Return whether the folder is new or empty; refuse one that contains something else."""
    if folder.is_dir():
        found = len(scan_ravdess(folder).clips)
        if found == RAVDESS_CLIPS:
            return False
        if not any(folder.iterdir()):
            return True
        held = f"{found:,} of {RAVDESS_CLIPS:,} RAVDESS clips" if found else "other files"
    else:
        held = "a file, not a folder"
    raise CorpusError(
        f"{folder} already exists: found {held}, expected a new or empty folder; remove it or name "
        "another with --to"
    )


def _choose_members(zipped: zipfile.ZipFile, archive: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the zip entry of each of the 1,440 clips; refuse unsafe entries."""
    chosen: dict[str, tuple[int, zipfile.ZipInfo]] = {}
    n_entries = len(zipped.infolist())
    if n_entries > _MOST_ENTRIES:
        raise CorpusError(
            f"{archive} has {n_entries:,} entries, expected at most {_MOST_ENTRIES:,}; get the zip "
            "from another source"
        )
    for member in zipped.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or path.parts[:1] == ("~",):
            raise CorpusError(
                f"{archive} is unsafe: entry {member.filename!r} points outside the zip's own "
                "folder, expected plain relative names; get it from another source"
            )
        if member.is_dir() or path.suffix.lower() not in (".wav", ".flac"):
            continue
        if path.name.startswith(".") or "__MACOSX" in path.parts:
            continue
        try:
            is_clip = parse_ravdess_name(path.stem).is_speech_audio
        except CorpusError:
            continue
        if is_clip:
            _require_plain(member, archive)
            depth = len(path.parts)
            if path.stem not in chosen or depth < chosen[path.stem][0]:
                chosen[path.stem] = (depth, member)
    missing = [name for name in list_ravdess_names() if name not in chosen]
    if missing:
        raise CorpusError(
            f"{archive} holds {len(chosen):,} RAVDESS speech clips, expected all "
            f"{RAVDESS_CLIPS:,} (the first missing is {missing[0]}); use the whole "
            "Audio_Speech_Actors_01-24.zip, or keep a part in a folder and name it with --data"
        )
    n_bytes = sum(member.file_size for _, member in chosen.values())
    if n_bytes > _MOST_BYTES:
        raise CorpusError(
            f"{archive} unpacks to {n_bytes:,} bytes, expected at most {_MOST_BYTES:,}; get "
            "the zip from another source"
        )
    return {name: member for name, (_, member) in chosen.items()}


def _require_plain(member: zipfile.ZipInfo, archive: Path) -> None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    found = None
    if member.flag_bits & 0x1:
        found = "is encrypted"
    elif kind not in (0, stat.S_IFREG):
        found = "is a link or a device"
    elif not 0 < member.file_size <= _MOST_CLIP_BYTES:
        found = f"has {member.file_size:,} bytes"
    if found:
        raise CorpusError(
            f"{archive}: entry {member.filename!r} {found}, expected a plain file of 1 to "
            f"{_MOST_CLIP_BYTES:,} bytes; get the zip from another source"
        )
