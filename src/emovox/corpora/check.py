"""Check a corpus before it is trained on: what makes its scores false, and what to know about it.

clips + figures of measure.py + listings -> findings.py -> refused, left out, or a warning
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emovox.corpora import findings
from emovox.corpora.clips import Clip, CorpusListing, describe_speakers
from emovox.corpora.findings import Finding, Verdict
from emovox.corpora.measure import ClipFacts, Measured
from emovox.corpora.registry import identify_speaker
from emovox.errors import CorpusError
from emovox.labels import order_labels
from emovox.wording import count


@dataclass(frozen=True, slots=True)
class DataCheck:
    """What the check of some clips found.

    Attributes:
        labels: Usable clips of each label, in the order of a model's outputs.
        n_speakers: Known speakers of the usable clips.
        duration_s: Total length of the usable clips.
        findings: What was found, the worst first.
        left_out: Names of the clips that must not be used: unusable ones and copies.
        sources: Corpora as the user named them, each with its folder or list.
    """

    labels: Mapping[str, int]
    n_speakers: int
    duration_s: float
    findings: tuple[Finding, ...]
    left_out: frozenset[str] = frozenset()
    sources: tuple[tuple[str, Path], ...] = ()

    @property
    def n_clips(self) -> int:
        """Number of usable clips."""
        return sum(self.labels.values())

    def describe(self) -> list[str]:
        """Return the check as the lines of a table: the usable clips, then one line per finding."""
        labels = ", ".join(f"{label} {n:,}" for label, n in self.labels.items())
        usable = (
            f"{describe_speakers(self.n_speakers)}, {self.duration_s / 60:.1f} min; "
            f"{count(len(self.labels), 'label')}: {labels}"
        )
        rows = [("check", "clips", "result", "found"), ("usable", f"{self.n_clips:,}", "", usable)]
        rows += [
            (f.check, f"{f.clips:,}" if f.clips else "", f.verdict.value, f.detail)
            for f in self.findings
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        return [
            f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}"
            for row in rows
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the check as JSON-serializable types, without where the corpora are."""
        return {
            "clips": self.n_clips,
            "speakers": self.n_speakers,
            "labels": dict(self.labels),
            "duration_s": round(self.duration_s, 3),
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def refuse_false_scores(self) -> None:
        """Refuse a corpus whose scores would be false.

        Raises:
            CorpusError: One line on the first of these findings, with the remedy.
        """
        for finding in self.findings:
            if finding.verdict is Verdict.REFUSED:
                is_audio = finding.check in ("two labels", "two speakers")
                raise CorpusError(
                    finding.detail,
                    code="corpus.contradiction" if is_audio else "corpus.similar_speakers",
                )


def check_clips(
    clips: Sequence[Clip],
    measured: Measured,
    listings: Sequence[CorpusListing] = (),
    *,
    names: Sequence[str] = (),
    allow_similar_speakers: bool = False,
) -> DataCheck:
    """Check clips and their labels.

    Args:
        clips: The clips to use, each once.
        measured: Figures of each, from ``measure_clips``.
        listings: Where the clips come from, for what their lists do not use.
        names: The corpora as the user named them, one for each listing.
        allow_similar_speakers: Speakers whose names differ only in case, zeros or blanks are
            different people.

    Returns:
        The findings.
    """
    show = findings.make_shower(listings)
    unusable = findings.find_unusable(clips, measured)
    usable = [clip for clip in clips if clip.name not in unusable]
    facts = {
        clip.name: figures
        for clip in usable
        if isinstance(figures := measured[clip.path], ClipFacts)
    }
    copies = findings.group_copies(usable, facts)
    alike = Verdict.WARNING if allow_similar_speakers else Verdict.REFUSED
    found = [
        *findings.check_speakers(clips, alike),
        *findings.check_copies(copies, show),
        *findings.check_unusable(clips, unusable, show),
        *findings.check_sound(usable, facts, show),
        *findings.check_labels(usable, show),
        *findings.check_unknown_speakers(clips),
        *findings.check_listings(listings, show),
    ]
    twice = {clip.name for _, *others in copies for clip in others if findings.is_own(clip)}
    kept = [clip for clip in usable if clip.name not in twice]
    counts = Counter(clip.emotion for clip in kept)
    order = list(Verdict)
    return DataCheck(
        labels={label: counts[label] for label in order_labels(counts)},
        n_speakers=len({identify_speaker(clip) for clip in kept if clip.has_speaker}),
        duration_s=sum(facts[clip.name].duration_s for clip in kept),
        findings=tuple(sorted(found, key=lambda finding: order.index(finding.verdict))),
        left_out=frozenset(unusable) | twice,
        sources=tuple(zip(names, (listing.source for listing in listings), strict=False)),
    )
