"""Fill the model card with what was measured: ``make model`` runs this last.

    .venv/bin/python scripts/make_model_card.py runs/accuracy

It takes the scores from `benchmarks/accuracy.csv`, the stress tests, fairness and abstention from
the run of `emobox-6`, seed 0, which `emovox stress` was run on, and what the model file says of
itself.
"""

import csv
import json
import re
from pathlib import Path
from typing import Any

import typer

from emovox.files import write_text
from emovox.model_file import find_default_model, open_model

HERE = Path(__file__).parent
TEMPLATE = HERE / "model_card_template.md"
SCORES = HERE.parent / "benchmarks" / "accuracy.csv"
RUN = "encoder-emobox-6-seed0"
KNOWN_VOICES = "voices that training knows too: speaker-dependent"
NEW_VOICES = "new voices: speaker-independent"


def main(runs: Path) -> None:
    """Write the card beside the model."""
    run = runs / RUN
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    info = open_model(find_default_model()).info
    rows, ece = describe_scores()
    values = {
        "MB": f"{find_default_model().stat().st_size / 1e6:.1f}",
        "ROWS": rows,
        "STRESS": describe_stress(run / "stress.csv"),
        "FAIR": describe_fairness(metrics["fairness"]),
        "T": f"{info.temperature:.2f}",
        "ECE": ece,
        "MINC": f"{info.min_confidence:.2f}",
        "ABST": describe_abstention(metrics["abstention"]["by_coverage"]),
    }
    card = TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        card = card.replace(f"{{{{{name}}}}}", value)
    if left := re.findall(r"{{\w+}}", card):
        raise typer.BadParameter(f"{TEMPLATE}: nothing known for {', '.join(left)}")
    write_text(find_default_model().with_name("MODEL_CARD.md"), card)


def describe_scores() -> tuple[str, str]:
    """Return a row for each protocol, and the calibration error on new voices."""
    with SCORES.open(encoding="utf-8", newline="") as file:
        found = [row for row in csv.DictReader(file) if row["seeds"] == "mean"]
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
            voices = NEW_VOICES if row["speaker_independent"] == "true" else KNOWN_VOICES
            scores = " | ".join(cells[protocol, score] for score in ("WA", "UA", "ECE"))
            rows.append(
                f"| `{protocol}` v{row['version']} | {scores} | {voices}; {int(row['clips']):,} "
                f"clips of {row['speakers']} speakers |"
            )
    return "\n".join(rows), cells["emobox-6", "ECE"]


def describe_stress(path: Path) -> str:
    """Return the stress tests that have a threshold, and the room and codec tests, as a table."""
    with path.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    lines = ["| disturbance | unchanged | UA, points | asked for |", "|---|---|---|---|"]
    for row in found:
        change = f"{100 * float(row['uar_change']):+.1f}"
        asked = "; ".join(
            text
            for key, text in (
                ("min_unchanged", "unchanged at least {:.2f}"),
                ("max_uar_loss", "UA loss at most {:.2f}"),
            )
            if row[key]
            for text in [text.format(float(row[key]))]
        )
        held = {"True": " (held)", "False": " (**not held**)", "": ""}[row["passed"]]
        lines.append(
            f"| {row['test']} | {float(row['unchanged']):.3f} | {change} | {asked}{held} |"
        )
    return "\n".join(lines)


def describe_fairness(fairness: dict[str, Any]) -> str:
    """Return the scores of women and men, and the gap."""
    lines = ["| | women | men | gap, points (95% interval) |", "|---|---|---|---|"]
    for score in ("WA", "UA"):
        entry = fairness[score]
        gap, low, high = (
            100 * value
            for value in (entry["difference"], entry["interval"]["low"], entry["interval"]["high"])
        )
        lines.append(
            f"| {score} | {100 * entry['female']:.1f} | {100 * entry['male']:.1f} | "
            f"{gap:+.1f} ({low:+.1f} to {high:+.1f}) |"
        )
    n_female, n_male = fairness["n_female"], fairness["n_male"]
    lines.append(f"\n`emobox-6`, seed 0, {n_female} women and {n_male} men.")
    return "\n".join(lines)


def describe_abstention(entries: list[dict[str, Any]]) -> str:
    """Return how often the surest answers are right."""
    lines = ["| answered, the surest first | right |", "|---|---|"]
    lines += [f"| {100 * e['coverage']:.0f}% | {100 * e['accuracy']:.1f}% |" for e in entries]
    lines.append("\n`emobox-6`, seed 0, 1,440 clips of 24 speakers that the models had not heard.")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
