"""The compressed copies of RAVDESS actors 1 to 4 in a checkout's `reference_clips/`."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from emovox.corpora.protocols import REFERENCE_ACTORS
from emovox.corpora.ravdess import list_ravdess_names
from emovox.errors import CorpusError
from emovox.files import write_text

FOLDER_NAME = "reference_clips"
CHECKSUMS_NAME = "SHA256SUMS"


def find_reference_clips() -> Path | None:
    """Return the clips of the checkout that emovox runs from or that is the current folder."""
    for checkout in (Path(__file__).parents[3], Path.cwd()):
        if are_reference_clips(checkout / FOLDER_NAME):
            return checkout / FOLDER_NAME
    return None


def are_reference_clips(folder: Path) -> bool:
    """Return whether a folder is the one with the compressed copies, by its checksums' names."""
    try:
        names = {Path(file).stem for file in read_checksums(folder)}
    except OSError:
        return False
    return names == set(list_reference_names())


def list_reference_names() -> list[str]:
    """Return the names of the 240 speech clips of actors 1 to 4."""
    return [n for n in list_ravdess_names() if n[-2:].lstrip("0") in REFERENCE_ACTORS]


def check_reference_clips(folder: Path) -> None:
    """Compare every file with its checksum.

    Raises:
        CorpusError: A file is missing or has other bytes.
    """
    for file, checksum in read_checksums(folder).items():
        try:
            found = hash_file(folder / file)
        except OSError as error:
            raise CorpusError(
                f"cannot be read ({error.strerror}), expected a file named in {CHECKSUMS_NAME}; "
                "restore it with 'git checkout -- reference_clips'",
                source=str(folder / file),
            ) from None
        if found != checksum:
            raise CorpusError(
                f"has the SHA-256 {found[:12]}..., expected {checksum[:12]}...; restore it with "
                "'git checkout -- reference_clips'",
                source=str(folder / file),
            )


def read_checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file, by its path in the folder."""
    lines = (folder / CHECKSUMS_NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    return {file: checksum for checksum, _, file in (line.partition("  ") for line in lines)}


def write_checksums(folder: Path, files: Sequence[Path]) -> None:
    """Write the SHA-256 of each file in the form that `sha256sum --check` reads."""
    lines = [f"{hash_file(file)}  {file.relative_to(folder).as_posix()}\n" for file in files]
    write_text(folder / CHECKSUMS_NAME, "".join(lines))


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
