"""``emovox data``: list, download and verify corpora."""

import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emovox.cli.terminal import echo, echo_json
from emovox.wording import make_printable

if TYPE_CHECKING:
    from rich.table import Table

    from emovox.corpora.fetch import FetchedCorpus
    from emovox.corpora.verify import CorpusCheck, GroupCount, ListCheck

app = typer.Typer(
    help="List, fetch and verify corpora.", no_args_is_help=True, rich_markup_mode=None
)

_LISTED = 10
"""Number of paths shown from a long list; --format json shows all."""


_COLUMNS = 80
"""Width that the output fits in, paths aside."""


class CorpusName(StrEnum):
    """Corpora that emovox can download."""

    RAVDESS = "ravdess"


class Format(StrEnum):
    """Output formats."""

    TABLE = "table"
    JSON = "json"


DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="FOLDER", help="Folder of the corpus, or of several corpora."),
]
FormatOption = Annotated[
    Format, typer.Option("--format", case_sensitive=False, help="Output format.")
]
CorpusArgument = Annotated[CorpusName, typer.Argument(help="Corpus to download.")]


@app.command("list", short_help="List known corpora, or the contents of a list or folder.")
def list_corpora(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|PATH]...", help="Corpora, lists or folders. Default: all known corpora."
        ),
    ] = None,
    data: DataOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """List corpora with their licences, locations on this machine and usable clips."""
    from emovox.corpora.locate import list_places
    from emovox.corpora.registry import CORPORA
    from emovox.errors import CorpusError

    rows = [_describe_corpus(source, data) for source in sources or CORPORA]
    if data is not None and not any(row["clips"] for row in rows):
        # A missing corpus is a valid result here, but a folder given with --data must contain one.
        (place,) = list_places(data).values()
        raise CorpusError(
            f"{place} (--data) contains no known corpus: expected the folder of one, or a folder "
            "of corpora; correct it, or leave it out"
        )
    if output is Format.JSON:
        echo_json(rows)
        return
    width = max(len(row["corpus"]) for row in rows)
    for row in rows:
        _print_corpus(row, width)


def _describe_corpus(source: str, data: Path | None) -> dict[str, Any]:
    """Return the facts about a corpus, and which of its clips were found."""
    from collections import Counter

    from emovox.corpora.read import read_corpus
    from emovox.corpora.registry import CORPORA
    from emovox.errors import CorpusError
    from emovox.labels import order_labels

    known = CORPORA.get(source)
    listing = None
    try:
        listing = read_corpus(source, data)
    except CorpusError:
        if known is None or (data is not None and not data.expanduser().is_dir()):
            raise
    clips = listing.clips if listing else ()
    emotions = Counter(clip.emotion for clip in clips)
    return {
        "corpus": source,
        "clips": len(clips),
        "expected": known.n_clips if known else None,
        "speakers": known.n_speakers
        if known
        else len({clip.speaker for clip in clips if clip.has_speaker}),
        "emotions": {name: emotions[name] for name in order_labels(emotions)},
        "unused": listing.describe_unused() if listing else [],
        "language": known.language if known else None,
        "licence": known.licence if known else None,
        "citation": known.citation if known else None,
        "folder": str(listing.source) if listing else None,
    }


def _print_corpus(row: dict[str, Any], width: int) -> None:
    from emovox.corpora.clips import describe_speakers

    facts = [f"{row['expected']:,} clips"] if row["expected"] else []
    facts.append(describe_speakers(row["speakers"]))
    facts += [row[key] for key in ("language", "licence") if row[key]]
    first, *lines = _wrap(facts, width)
    echo(f"{row['corpus']:<{width}}  {first}")
    lines.append(f"{row['clips']:,} clips in {row['folder']}" if row["folder"] else "not found")
    lines += _wrap([f"{name} {n:,}" for name, n in row["emotions"].items()], width)
    lines += row["unused"]
    if row["corpus"] == "ravdess" and not row["folder"]:
        lines.append("download it with: emovox data fetch ravdess")
    for line in lines:
        echo(f"{'':<{width}}  {line}")


def _wrap(facts: list[str], width: int) -> list[str]:
    """Join facts by commas, in lines that fit beside names of this width."""
    joined = ", ".join(fact.replace(" ", "\0") for fact in facts)
    # The name of a list may be a path of any length.
    columns = max(_COLUMNS - width - 2, _COLUMNS // 2)
    lines = textwrap.wrap(joined, columns, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]


@app.command("fetch", short_help="Download, check and unpack a corpus.")
def fetch_corpus(
    corpus: CorpusArgument,  # noqa: ARG001
    archive: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE.zip", help="Install from this zip file instead of downloading."
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="Folder to install into. Default: the cache."),
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Download, check and unpack a corpus. An interrupted download is resumed."""
    fetched = _fetch_ravdess(folder, archive)
    if output is Format.JSON:
        result = {
            "corpus": "ravdess",
            "folder": str(fetched.folder),
            "clips": fetched.clips,
            "installed": fetched.installed,
        }
        echo_json(result)
        return
    verb = "installed in" if fetched.installed else "already in"
    echo(f"{fetched.clips:,} clips {verb} {fetched.folder}")


@app.command("verify", short_help="Decode and check every clip and its label.")
def verify_corpus(
    corpus: Annotated[
        str, typer.Argument(metavar="NAME|PATH", help="A known corpus, a list or a folder.")
    ],
    data: DataOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Decode and check every clip, as before a training; exit 1 if not all can be used."""
    from emovox.corpora.locate import find_ravdess
    from emovox.corpora.read import read_corpus
    from emovox.corpora.verify import verify_listing, verify_ravdess

    check: CorpusCheck | ListCheck
    with _show_progress() as report:
        step = partial(report, "verify")
        if corpus == "ravdess":
            check = verify_ravdess(find_ravdess(data), report=step)
            lines = _describe_check(check)
        else:
            check = verify_listing(read_corpus(corpus, data), report=step)
            lines = _describe_list_check(check)
    if output is Format.JSON:
        echo_json(check.to_dict())
    else:
        _print_check(check, lines)
    if not check.is_complete:
        raise typer.Exit(1)


def ensure_ravdess(data: Path | None) -> Path:
    """Return the folder of RAVDESS; download it if it is missing and no folder was given."""
    from emovox.corpora.fetch import RAVDESS_ARCHIVE
    from emovox.corpora.locate import find_ravdess
    from emovox.errors import CorpusError, DownloadError

    try:
        return find_ravdess(data)
    except CorpusError as error:
        # If the user gave a folder, an error is better than a download.
        if data is not None or os.environ.get("EMOVOX_DATA"):
            raise
        echo(
            f"emovox: {error.args[0].partition(':')[0]}; downloading it, "
            f"{RAVDESS_ARCHIVE.size_bytes / 1e6:.0f} MB (if interrupted, the same command resumes "
            "it). If you have a copy, stop this and name its folder with --data or EMOVOX_DATA",
            err=True,
        )
    try:
        return _fetch_ravdess(None, None).folder
    except DownloadError as error:
        raise DownloadError(
            f"{error}; try 'emovox demo', which needs no download, or name the folder of your copy "
            "of RAVDESS with EMOVOX_DATA"
        ) from error


def _fetch_ravdess(folder: Path | None, archive: Path | None) -> "FetchedCorpus":
    """Print the licence and what is contacted, then download or unpack with a progress bar."""
    from emovox.corpora.fetch import fetch_ravdess, find_archive
    from emovox.corpora.ravdess import RAVDESS_CITATION, RAVDESS_LICENCE

    echo(
        f"RAVDESS is licensed under {RAVDESS_LICENCE}: non-commercial use, with attribution, share "
        "alike.",
        err=True,
    )
    echo(f"Cite: {RAVDESS_CITATION}.", err=True)
    if archive is None:
        remote = find_archive()
        echo(
            f"If it is not installed yet: {remote.size_bytes / 1e6:.0f} MB from {remote.url}",
            err=True,
        )
    with _show_progress() as report:
        return fetch_ravdess(folder, archive=archive, report=report)


def _describe_check(check: "CorpusCheck") -> list[str]:
    """Describe the problems of a copy of RAVDESS, one per line."""
    return [
        f"RAVDESS speech in {check.folder}",
        f"{check.sound:,} of {check.expected:,} clips can be decoded: "
        f"{sum(group.sound > 0 for group in check.speakers)} speakers, "
        f"{check.duration_s / 60:.1f} min",
        *_list_paths("missing", check.missing),
        *_list_paths("damaged", [f"{clip.path}: {clip.problem}" for clip in check.damaged]),
        *_list_paths("in another actor's folder", check.misplaced),
        *_list_paths("duplicates, not used", check.duplicates),
        *_list_paths("not a RAVDESS file name, not used", check.strays),
    ]


def _describe_list_check(check: "ListCheck") -> list[str]:
    """Describe the problems of any corpus, one per line."""
    from emovox.corpora.clips import describe_speakers

    listing = check.listing
    n_speakers = len({clip.speaker for clip in listing.clips if clip.has_speaker})
    return [
        f"{listing.corpus} in {listing.source}",
        f"{check.sound:,} of {len(listing.clips) + len(listing.missing):,} clips can be used: "
        f"{describe_speakers(n_speakers)}, {len(check.emotions)} labels, "
        f"{check.duration_s / 60:.1f} min",
        *_list_paths("missing", listing.missing),
        *_list_paths("damaged", [f"{clip.path}: {clip.problem}" for clip in check.damaged]),
    ]


def _print_check(check: "CorpusCheck | ListCheck", lines: list[str]) -> None:
    from rich.console import Console

    for line in (*lines, "", *check.check.describe()):
        echo(line)
    console = Console()
    console.print(_make_table("emotion", check.emotions))
    console.print(_make_table("speaker", check.speakers))


def _list_paths(title: str, paths: "Sequence[str | Path]") -> list[str]:
    """Return a heading and the first paths; an empty list without paths."""
    if not paths:
        return []
    lines = [f"{title}: {len(paths):,}", *(f"  {path}" for path in paths[:_LISTED])]
    if len(paths) > _LISTED:
        lines.append(f"  and {len(paths) - _LISTED:,} more (all of them with --format json)")
    return lines


def _make_table(title: str, groups: "tuple[GroupCount, ...]") -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    has_gender = groups[0].gender is not None
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(title)
    if has_gender:
        table.add_column("gender")
    for heading in ("clips", "expected", "minutes"):
        table.add_column(heading, justify="right")
    for group in groups:
        gender = [group.gender] if has_gender else []
        minutes = f"{group.duration_s / 60:.1f}"
        table.add_row(
            Text(make_printable(group.name)),
            *gender,
            str(group.sound),
            str(group.expected),
            minutes,
        )
    return table


@contextmanager
def _show_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that draws progress bars on stderr if it is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _step, _done, _whole: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        bars: dict[str, TaskID] = {}

        def report(step: str, done: int, whole: int) -> None:
            amount = f"{done:,} of {whole:,} clips"
            if step == "download":
                amount = f"{done / 1e6:.1f} of {whole / 1e6:.1f} MB"
            if step not in bars:
                bars[step] = progress.add_task(step, total=whole, amount=amount)
            progress.update(bars[step], completed=done, amount=amount)

        yield report
