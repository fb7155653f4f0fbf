"""CREMA-D: by the actor's intention, or by what most listeners of the voice heard."""

from dataclasses import replace
from pathlib import Path

from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.named import list_named
from emovox.corpora.tables import read_table
from emovox.errors import CorpusError
from emovox.labels import map_label

_TWINS = {"1017_IWW_ANG_XX", "1013_WSI_DIS_XX", "1006_TIE_HAP_XX"}
"""Clips that the source holds twice, under two labels."""

_VOTES = "tabulatedVotes.csv"
# In the order of emovox.labels.EMOTIONS.
_LETTERS = {"N": "NEU", "H": "HAP", "S": "SAD", "A": "ANG", "F": "FEA", "D": "DIS"}
_VOICE_ALONE = "1"
"""First digit of a row's number; 2 is for the face alone, 3 for both."""

Votes = tuple[tuple[str, int], ...]


def list_cremad(folder: Path) -> CorpusListing:
    """List CREMA-D's recordings with the intended emotion, and the votes if they are there.

    Args:
        folder: The folder to search recursively; ``tabulatedVotes.csv`` lies in it, in its
            ``processedResults`` or beside it, as in
            https://github.com/CheyneyComputerScience/CREMA-D.

    Returns:
        The clips, sorted by name, without the three that have a twin under another label; may be
        empty.

    Raises:
        CorpusError: The folder is missing or unreadable, or the votes cannot be read.
    """
    listing = list_named("cremad", folder)
    kept = [clip for clip in listing.clips if clip.path.stem not in _TWINS]
    n_twins = len(listing.clips) - len(kept)
    skipped = (("twin under another label in the source", n_twins),) if n_twins else ()
    table = _find_votes(folder) if kept else None
    votes = _read_votes(table) if table else {}
    return replace(
        listing,
        clips=tuple(replace(clip, votes=_find_clip_votes(clip, votes)) for clip in kept),
        skipped=(*listing.skipped, *skipped),
    )


def list_cremad_heard(folder: Path) -> CorpusListing:
    """List CREMA-D's recordings with the emotion that most listeners of the voice heard.

    Args:
        folder: As in ``list_cremad``, with the votes.

    Returns:
        The clips of ``list_cremad``, with the same names and speakers, without those whose
        listeners are tied.

    Raises:
        CorpusError: The folder is missing or unreadable, or the votes are missing or cannot be
            read.
    """
    listing = list_cremad(folder)
    voted = [clip for clip in listing.clips if clip.votes]
    if listing.clips and not voted:
        raise CorpusError(
            f"{folder} holds CREMA-D without its listeners' votes: found no {_VOTES} for its "
            "clips; put it there, from processedResults of "
            "https://github.com/CheyneyComputerScience/CREMA-D, or use the corpus cremad"
        )
    heard = [(clip, find_winner(clip.votes)) for clip in voted]
    clips = tuple(
        replace(clip, corpus="cremad-heard", emotion=emotion) for clip, emotion in heard if emotion
    )
    reasons = (
        ("listeners are tied", len(voted) - len(clips)),
        ("no listener", len(listing.clips) - len(voted)),
    )
    skipped = (*listing.skipped, *(reason for reason in reasons if reason[1]))
    return CorpusListing("cremad-heard", folder, clips, skipped)


def find_winner(votes: Votes) -> str | None:
    """Return the emotion with the most votes, or ``None`` if two have as many.

    Examples:
        >>> find_winner((("sad", 4), ("angry", 6))), find_winner((("sad", 5), ("angry", 5)))
        ('angry', None)
    """
    (emotion, most), *rest = sorted(votes, key=lambda vote: -vote[1])
    return None if rest and rest[0][1] == most else emotion


def _find_votes(folder: Path) -> Path | None:
    tables = (
        place / _VOTES
        for top in (folder, folder.absolute().parent)
        for place in (top, top / "processedResults")
    )
    return next((table for table in tables if table.is_file()), None)


def _read_votes(table: Path) -> dict[str, Votes]:
    """Return the votes of the listeners of the voice alone, by clip."""
    rows = read_table(table, ("", "fileName", *_LETTERS), of=f"CREMA-D's {_VOTES}")
    try:
        return {
            row["fileName"]: tuple(
                (map_label(code, "cremad"), int(row[letter])) for letter, code in _LETTERS.items()
            )
            for row in rows
            if row[""].startswith(_VOICE_ALONE)
        }
    except ValueError as error:
        raise CorpusError(
            f"{table}: cannot be read ({error}); expected CREMA-D's {_VOTES} with numbers of votes"
        ) from None


def _find_clip_votes(clip: Clip, votes: dict[str, Votes]) -> Votes:
    # The table writes 1040_ITH_SAD_X, the name of one published file, with XX.
    stem = clip.path.stem
    return votes.get(stem) or votes.get(f"{stem}X") or ()
