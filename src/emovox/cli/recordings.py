"""Which recordings ``emovox reproduce`` uses: RAVDESS, or the compressed copies in a checkout."""

from pathlib import Path

from emovox.cli.data import ensure_ravdess
from emovox.cli.paragraphs import echo_wrapped


def choose_recordings(data: Path | None, *, everything: bool) -> tuple[Path, str]:
    """Choose the recordings of the reference experiment, and say so in one line.

    Args:
        data: The folder given with ``--data``, which is then the only one.
        everything: Whether all 24 actors are needed, so that RAVDESS is downloaded if missing.

    Returns:
        The folder, and why it lacks the other actors: empty if it has them or if they are not
        needed.

    Raises:
        CorpusError: A named folder does not exist, or ``data`` has no RAVDESS.
        DownloadError: There is no checkout, and RAVDESS can be neither found nor downloaded.
    """
    from emovox.corpora.reference_clips import are_reference_clips
    from emovox.errors import CorpusError, DownloadError

    copies = find_recordings(data)
    found, missing = copies, ""
    if found is None or (everything and are_reference_clips(found)):
        try:
            found = ensure_ravdess(data)
        except (CorpusError, DownloadError) as error:
            if copies is None:
                raise
            found, missing = copies, str(error)
    if not are_reference_clips(found):
        echo_wrapped(f"Recordings: RAVDESS in {found}")
        return found, ""
    echo_wrapped(f"Recordings: 240 compressed copies (Opus) of RAVDESS actors 1 to 4 in {found}")
    if everything and not missing:
        missing = (
            f"{found} has 4 of its 24 actors; run 'emovox data fetch ravdess', or name the folder "
            "of your copy of RAVDESS with --data or EMOVOX_DATA"
        )
    return found, missing


def find_recordings(data: Path | None) -> Path | None:
    """Return the folder of RAVDESS, otherwise of the copies unless ``data`` is given, or none."""
    from emovox.corpora.locate import find_ravdess
    from emovox.corpora.reference_clips import find_reference_clips
    from emovox.errors import CorpusError

    try:
        return find_ravdess(data)
    except CorpusError as error:
        if data is not None or error.code != "corpus.missing":
            raise
    return find_reference_clips()
