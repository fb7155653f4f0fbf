"""Fill in the model card with measured figures; ``make model`` runs this last.

    .venv/bin/python scripts/make_model_card.py runs/accuracy

Scores come from `benchmarks/accuracy.csv`, stress tests from `benchmarks/stress.csv`, fairness,
calibration and abstention from the predictions of the runs of `emobox-6`, all over the same seeds,
and the rest from the model file's metadata.
"""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import typer

from emovox.evaluation.abstention import average_coverages
from emovox.evaluation.evaluate import BOOTSTRAP_SEED
from emovox.evaluation.fairness import compare_genders_of_seeds
from emovox.evaluation.group_calibration import measure_group_calibration
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.stress_scores import StressRow
from emovox.files import write_text
from emovox.recognition.model_file import find_default_model, open_model
from emovox.runs.folder import open_seeds
from emovox.runs.predictions import read_predictions
from emovox.runs.stress import read_stress
from emovox.wording import count

HERE = Path(__file__).parent
TEMPLATE = HERE / "model_card_template.md"
SCORES = HERE.parent / "benchmarks" / "accuracy.csv"
STRESS = HERE.parent / "benchmarks" / "stress.csv"
ELSEWHERE = HERE.parent / "benchmarks" / "elsewhere.csv"
PROTOCOL = "emobox-6"
RUNS = f"encoder-{PROTOCOL}-seed*"
SEEN_SPEAKERS = "seen speakers: speaker-dependent"
UNSEEN_SPEAKERS = "unseen speakers: speaker-independent"
KINDS = {
    "seen-words": f"{UNSEEN_SPEAKERS}; trained on one sentence, tested on the same",
    "unseen-words": f"{UNSEEN_SPEAKERS}; trained on one sentence, tested on the other",
    "cross:ravdess->nemo": "another corpus: other speakers, recordings and language",
}


def main(runs: Path) -> None:
    """Write the card next to the model."""
    folders = sorted(runs.glob(RUNS))
    if not folders:
        raise typer.BadParameter(f"{runs} has no {RUNS}: run benchmarks/accuracy.py first")
    seeds = [read_predictions(run.folder / "predictions.csv") for run in open_seeds(folders)]
    stress = read_stress(STRESS)
    if stress[0].trainings != len(seeds):
        raise typer.BadParameter(
            f"{STRESS} rests on {count(stress[0].trainings, 'seed')}, expected {len(seeds)}: run "
            "emovox stress on all of them"
        )
    info = open_model(find_default_model()).info
    values = {
        "MB": f"{find_default_model().stat().st_size / 1e6:.1f}",
        **describe_scores(),
        "STRESS": describe_stress(stress),
        "STRESSED": f"{stress[0].clips:,} of {stress[0].of_clips:,}",
        "ELSEWHERE": describe_elsewhere(),
        "DRAWS": count(max(row.draws for row in stress), "random draw"),
        "SEEDS": count(len(seeds), "seed"),
        "FAIR": describe_fairness(seeds),
        "T": f"{info.temperature:.2f}",
        "GROUPS": describe_groups(seeds),
        "MINC": f"{info.min_confidence:.3g}",
        "ABST": describe_abstention(seeds),
    }
    card = TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        card = card.replace(f"{{{{{name}}}}}", value)
    if left := re.findall(r"{{\w+}}", card):
        raise typer.BadParameter(f"{TEMPLATE}: nothing known for {', '.join(left)}")
    write_text(find_default_model().with_name("MODEL_CARD.md"), card)


def describe_scores() -> dict[str, str]:
    """Return the table of protocols, and the single figures used in the text."""
    with SCORES.open(encoding="utf-8", newline="") as file:
        rows_of_all = list(csv.DictReader(file))
    found = [row for row in rows_of_all if row["seeds"] == "mean"]
    n_seeds = Counter(
        row["protocol"] for row in rows_of_all if row["seeds"] != "mean" and row["score"] == "WA"
    )
    cells = {
        (row["protocol"], row["score"]): "{:.1f} ({:.1f} to {:.1f})".format(
            *(100 * float(row[key]) for key in ("value", "low", "high"))
        )
        for row in found
    }
    rows = []
    for row in found:
        if row["score"] == "WA":
            protocol = row["protocol"]
            independent = row["speaker_independent"] == "true"
            kind = KINDS.get(protocol, UNSEEN_SPEAKERS if independent else SEEN_SPEAKERS)
            scores = " | ".join(cells[protocol, score] for score in ("WA", "UA", "ECE"))
            rows.append(
                f"| `{protocol}` v{row['version']} | {scores} | {kind}; {int(row['clips']):,} "
                f"clips of {row['speakers']} speakers, {count(n_seeds[protocol], 'seed')} |"
            )
    clips = {(row["protocol"], row["score"]): int(row["clips"]) for row in found}
    return {
        "ROWS": "\n".join(rows),
        "ECE": cells["emobox-6", "ECE"],
        "CROSS": cells["cross:ravdess->nemo", "WA"],
        "SEEN": cells["seen-words", "UA"],
        "UNSEEN": cells["unseen-words", "UA"],
        "REPEATED": cells["random-10", "WA-repeated"],
        "UNREPEATED": cells["random-10", "WA-unrepeated"],
        "N_REPEATED": f"{clips['random-10', 'WA-repeated']:,}",
    }


def describe_stress(rows: tuple[StressRow, ...]) -> str:
    """Return every stress test as a table."""
    lines = ["| perturbation | unchanged | UA, points | threshold | |", "|---|---|---|---|---|"]
    for row in rows:
        threshold = "; ".join(
            text.format(limit)
            for text, limit in (
                ("unchanged at least {:.2f}", row.min_unchanged),
                ("UA loss at most {:.2f}", row.max_uar_loss),
            )
            if limit is not None
        )
        lines.append(
            f"| {row.test} | {row.unchanged:.3f} | {100 * row.uar_change:+.1f} | {threshold} | "
            f"{row.result} |"
        )
    return "\n".join(lines)


def describe_elsewhere() -> str:
    """Return how much of what is above the threshold is right on other corpora."""
    names = {"cremad": "CREMA-D", "nemo": "nEMO"}
    with ELSEWHERE.open(encoding="utf-8", newline="") as file:
        return " and ".join(
            f"{100 * float(row['right']):.0f}% on {names[row['corpus']]}"
            for row in csv.DictReader(file)
        )


def describe_fairness(seeds: list[Predictions]) -> str:
    """Return the scores of women and men, and the gap."""
    fairness = compare_genders_of_seeds(seeds, np.random.default_rng(BOOTSTRAP_SEED))
    if fairness is None:
        raise typer.BadParameter("the corpus does not say who is a woman and who a man")
    lines = ["| | women | men | gap, points (95% interval) |", "|---|---|---|---|"]
    for gap in fairness.gaps:
        interval = ""
        if gap.interval is not None:
            interval = f" ({100 * gap.interval.low:+.1f} to {100 * gap.interval.high:+.1f})"
        lines.append(
            f"| {gap.name} | {100 * gap.female:.1f} | {100 * gap.male:.1f} | "
            f"{100 * gap.difference:+.1f}{interval} |"
        )
    lines.append(
        f"\n`{PROTOCOL}`, the mean over {count(len(seeds), 'seed')}, {fairness.n_female} women and "
        f"{fairness.n_male} men."
    )
    return "\n".join(lines)


def describe_groups(seeds: list[Predictions]) -> str:
    """Return the calibration by gender and speaker, next to perfect calibration."""
    found = measure_group_calibration(seeds, np.random.default_rng(BOOTSTRAP_SEED))
    lines = [
        "| | accuracy | mean confidence | minus accuracy | calibration error | if perfect |",
        "|---|---|---|---|---|---|",
    ]
    for entry in found.groups:
        interval = ""
        if entry.interval is not None:
            low, high = 100 * entry.interval.low, 100 * entry.interval.high
            interval = f" ({low:+.1f} to {high:+.1f})"
        lines.append(
            f"| {entry.group} | {100 * entry.accuracy:.1f} | {100 * entry.confidence:.1f} | "
            f"{100 * entry.excess:+.1f}{interval} | {100 * entry.error:.1f} | "
            f"{100 * entry.perfect_error:.1f}, at most {100 * entry.perfect_error_high:.1f} |"
        )
    if found.speakers is not None:
        spread = found.speakers
        worst = 100 * spread.excess[spread.worst]
        lines.append(
            f"\nFrom speaker to speaker it varies by {100 * spread.deviation:.1f} points "
            f"(standard deviation; {100 * spread.perfect_deviation:.1f} would be chance), at most "
            f"{worst:+.1f} (actor {spread.worst})."
        )
    return "\n".join(lines)


def describe_abstention(seeds: list[Predictions]) -> str:
    """Return the accuracy of the most confident predictions."""
    n_clips, n_speakers = (np.unique(a).size for a in (seeds[0].clips, seeds[0].speakers))
    lines = ["| most confident predictions | right |", "|---|---|"]
    lines += [f"| {100 * c:.0f}% | {100 * right:.1f}% |" for c, right in average_coverages(seeds)]
    lines.append(
        f"\n`{PROTOCOL}`, the mean over {count(len(seeds), 'seed')}, {n_clips:,} clips of "
        f"{n_speakers} unseen speakers."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
