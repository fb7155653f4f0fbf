"""What can be wrong with the clips of a corpus, check by check."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from emovox.corpora.clips import FURTHER_COPIES, LISTED_BEFORE, LISTED_TWICE, Clip, CorpusListing
from emovox.corpora.listed import recognize_label
from emovox.corpora.measure import ClipFacts, Measured
from emovox.corpora.registry import CORPORA, identify_speaker
from emovox.labels import EMOTIONS
from emovox.wording import count

SHORTEST_S = 0.1
CLIPPED_SHARE = 1e-3
"""Share of samples at full scale from which a clip is reported as clipped."""

_SHOWN = 3
_COPIES = (LISTED_BEFORE, LISTED_TWICE, FURTHER_COPIES)


class Verdict(StrEnum):
    """What follows from a finding."""

    REFUSED = "refused"
    LEFT_OUT = "left out"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the check found.

    Attributes:
        check: What was checked, such as ``"silent"``: stable, for programs.
        verdict: Training refuses the corpus, leaves the clips out, or goes on with a warning.
        clips: Number of clips concerned; 0 if it is not about clips.
        detail: One line: what was found, with examples, and the remedy.
        files: Every file concerned.
    """

    check: str
    verdict: Verdict
    clips: int
    detail: str
    files: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-serializable types."""
        return {
            "check": self.check,
            "verdict": self.verdict.value,
            "clips": self.clips,
            "detail": self.detail,
            "files": list(self.files),
        }


def find_unusable(
    clips: Iterable[Clip], measured: Measured, shortest_s: float = SHORTEST_S
) -> dict[str, tuple[str, str]]:
    """Find clips that cannot be used: the check that each fails, and why, by clip name."""
    unusable = {}
    for clip in clips:
        facts = measured[clip.path]
        if isinstance(facts, str):
            unusable[clip.name] = "cannot be decoded", facts
        elif facts.is_silent:
            reason = "is silent, expected speech; record or copy it again"
            unusable[clip.name] = "silent", reason
        elif facts.duration_s < shortest_s:
            reason = (
                f"lasts {facts.duration_s:.2f} s, expected at least {shortest_s} s; it was cut "
                "off, record or copy it again"
            )
            unusable[clip.name] = "too short", reason
    return unusable


def check_speakers(clips: Iterable[Clip], verdict: Verdict = Verdict.REFUSED) -> list[Finding]:
    """Find speakers of the user's own lists whose names look like one name written in two ways."""
    groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        if is_own(clip) and clip.has_speaker:
            name = clip.speaker.removeprefix(f"{clip.corpus}-")
            groups[simplify_speaker(name)][name] += 1
    alike = [names for names in groups.values() if len(names) > 1]
    if not alike:
        return []
    shown = "; ".join(" = ".join(map(repr, names)) for names in alike[:_SHOWN])
    more = f" and {len(alike) - _SHOWN} more" if len(alike) > _SHOWN else ""
    detail = f"the speakers {shown}{more} look like the same people written in different ways"
    if verdict is Verdict.REFUSED:
        detail += (
            ", and one person in training and in the test makes the score false; write each name "
            "in one way, or pass --allow-similar-speakers if these are different people"
        )
    else:
        detail += ", and are taken as different people, as requested"
    return [Finding("speakers alike", verdict, sum(names.total() for names in alike), detail)]


def simplify_speaker(name: str) -> str:
    """Return a speaker's name without what is often written in two ways.

    Examples:
        >>> [simplify_speaker(name) for name in ("1", "01", "1.0", "Actor_07", "actor 7")]
        ['1', '1', '1', 'actor 7', 'actor 7']
    """
    name = unicodedata.normalize("NFKC", name).casefold()
    name = re.sub(r"[\s_-]+", " ", name).strip()
    name = re.sub(r"(?<=\d)[.,]0+$", "", name)
    return re.sub(r"0*(\d+)", r"\1", name)


Show = Callable[[Clip | Path], str]


def is_own(clip: Clip) -> bool:
    """Return whether a clip is of the user's own list, not of a corpus known by name."""
    return clip.corpus not in CORPORA


def group_copies(clips: Sequence[Clip], facts: Mapping[str, ClipFacts]) -> list[list[Clip]]:
    """Return the groups of clips with the same decoded audio, clips of known corpora first."""
    groups: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=is_own):
        groups[facts[clip.name].content].append(clip)
    return [group for group in groups.values() if len(group) > 1]


def check_copies(groups: Sequence[Sequence[Clip]], show: Show) -> list[Finding]:
    """Find equal audio: under two labels or speakers, or simply twice."""
    findings = []
    own = [group for group in groups if any(map(is_own, group))]
    for check, differs in (
        ("two labels", lambda a, b: a.emotion != b.emotion),
        ("two speakers", _has_other_speaker),
    ):
        pairs = [(g[0], next(c for c in g if differs(g[0], c))) for g in own if _any(g, differs)]
        if pairs:
            (a, b), rest = pairs[0], len(pairs) - 1
            said = [c.emotion if check == "two labels" else c.speaker for c in (a, b)]
            detail = (
                f"{show(a)} is {said[0]}, but {show(b)}, the same audio, is {said[1]}"
                f"{f', and {rest:,} more like it' if rest else ''}; expected one "
                f"{'label' if check == 'two labels' else 'speaker'} per recording: correct the list"
            )
            files = tuple(show(clip) for pair in pairs for clip in pair)
            findings.append(Finding(check, Verdict.REFUSED, len(pairs), detail, files))
    for verdict, wanted, text in (
        (Verdict.LEFT_OUT, True, "equal audio is one clip"),
        (Verdict.WARNING, False, "kept, because the corpus has both"),
    ):
        pairs = [(g[0], c) for g in groups for c in g[1:] if is_own(c) is wanted]
        if pairs:
            first, copy = pairs[0]
            detail = f"{text}: {show(copy)} is {show(first)}{_count_more(pairs)}"
            files = tuple(show(clip) for _, clip in pairs)
            findings.append(Finding("copies", verdict, len(pairs), detail, files))
    return findings


def _any(group: Sequence[Clip], differs: Callable[[Clip, Clip], bool]) -> bool:
    return any(differs(group[0], clip) for clip in group[1:])


def _has_other_speaker(first: Clip, second: Clip) -> bool:
    """Return whether two clips of one list name different speakers; two lists always do."""
    known = all(is_own(clip) and clip.has_speaker for clip in (first, second))
    same_list = first.corpus == second.corpus
    return known and same_list and identify_speaker(first) != identify_speaker(second)


def check_unusable(
    clips: Sequence[Clip], unusable: Mapping[str, tuple[str, str]], show: Show
) -> list[Finding]:
    """Describe the clips that cannot be used, one finding for each kind."""
    by_check: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.name in unusable:
            by_check[unusable[clip.name][0]].append(clip)
    return [
        Finding(
            check,
            Verdict.LEFT_OUT,
            len(found),
            f"{show(found[0])} {unusable[found[0].name][1]}{_count_more(found)}",
            tuple(map(show, found)),
        )
        for check, found in by_check.items()
    ]


def check_sound(clips: Sequence[Clip], facts: Mapping[str, ClipFacts], show: Show) -> list[Finding]:
    """Find clips without speech or with clipping, and corpora of several sampling rates."""
    findings = []
    for check, text, found in (
        (
            "no speech",
            "no speech detected in",
            [clip for clip in clips if not facts[clip.name].speaks],
        ),
        (
            "clipped",
            f"at least {CLIPPED_SHARE:.1%} of the samples are at full scale in",
            [clip for clip in clips if facts[clip.name].full_scale >= CLIPPED_SHARE],
        ),
    ):
        if found:
            shown = f"{text} {show(found[0])}{_count_more(found)}"
            findings.append(
                Finding(check, Verdict.WARNING, len(found), shown, tuple(map(show, found)))
            )
    for corpus in dict.fromkeys(clip.corpus for clip in clips):
        rates = Counter(facts[clip.name].rate_hz for clip in clips if clip.corpus == corpus)
        if len(rates) > 1:
            shown = ", ".join(f"{hz:,} Hz ({n:,})" for hz, n in rates.most_common())
            detail = (
                f"{corpus} has clips at {shown}: if the rate depends on label or speaker, a model "
                "can learn it instead of the emotion"
            )
            n_others = rates.total() - rates.most_common(1)[0][1]
            findings.append(Finding("sampling rates", Verdict.WARNING, n_others, detail))
    return findings


def check_labels(clips: Sequence[Clip], show: Show) -> list[Finding]:
    """Find labels that contradict the emotion in the file name of a known corpus."""
    found = [
        (clip, named)
        for clip in clips
        if clip.emotion in EMOTIONS
        and (named := recognize_label(clip.path)) is not None
        and named != clip.emotion
    ]
    if not found:
        return []
    clip, named = found[0]
    detail = (
        f"{show(clip)} is listed as {clip.emotion}, but its name says {named}{_count_more(found)}: "
        "check the list, whose labels are used"
    )
    files = tuple(show(clip) for clip, _ in found)
    return [Finding("labels against names", Verdict.WARNING, len(found), detail, files)]


def check_unknown_speakers(clips: Sequence[Clip]) -> list[Finding]:
    """Count the clips without a speaker, if others have one."""
    unknown = [clip for clip in clips if not clip.has_speaker]
    if not unknown or len(unknown) == len(clips):
        return []
    detail = (
        f"{count(len(unknown), 'clip')} of {len(clips):,} without a speaker: protocols over "
        "speakers refuse them"
    )
    return [Finding("no speaker", Verdict.WARNING, len(unknown), detail)]


def check_listings(listings: Sequence[CorpusListing], show: Show) -> list[Finding]:
    """Describe what is listed and not used, or not there."""
    findings = []
    for listing in listings:
        for why, n in listing.skipped:
            detail = f"{listing.corpus}: {n:,} not used: {why}"
            check = "copies" if why in _COPIES else "not used"
            findings.append(Finding(check, Verdict.LEFT_OUT, n, detail))
        if listing.missing:
            files = tuple(map(show, listing.missing))
            detail = (
                f"{listing.corpus}: {len(files):,} not there, such as {files[0]}: {listing.cause}"
            )
            findings.append(Finding("missing", Verdict.LEFT_OUT, len(files), detail, files))
        if listing.ignored:
            detail = f"{listing.corpus}: columns not read: {', '.join(listing.ignored)}"
            findings.append(Finding("columns", Verdict.WARNING, 0, detail))
    return findings


def make_shower(listings: Sequence[CorpusListing]) -> Show:
    """Return a function that shows a path relative to its corpus: reports may be passed on."""
    bases = [
        Path(os.path.abspath(listing.source if listing.source.is_dir() else listing.source.parent))
        for listing in listings
    ]

    def show(clip: Clip | Path) -> str:
        path = Path(os.path.abspath(clip.path if isinstance(clip, Clip) else clip))
        base = next((base for base in bases if path.is_relative_to(base)), path.parent)
        return path.relative_to(base).as_posix()

    return show


def _count_more(found: Sequence[object]) -> str:
    """Return a clause with the number of further examples."""
    return f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
