"""Fill in the model card with measured figures; ``make model`` runs this last.

    .venv/bin/python scripts/make_model_card.py

Scores come from `benchmarks/voices.csv`, stress tests from `benchmarks/stress.csv`, and the rest
from the model file's metadata.
"""

import csv
import re
from collections.abc import Iterable
from pathlib import Path

import typer

from emovox.evaluation.stress_scores import StressRow
from emovox.files import write_text
from emovox.recognition.model_file import find_default_model, open_model
from emovox.recognition.model_info import ModelInfo
from emovox.runs.stress import read_stress
from emovox.wording import count

HERE = Path(__file__).parent
TEMPLATE = HERE / "model_card_template.md"
BENCHMARKS = HERE.parent / "benchmarks"
TITLES = {
    "ravdess": "RAVDESS, English",
    "nemo": "nEMO, Polish",
    "ased": "ASED, Amharic",
    "aesdd": "AESDD, Greek",
    "cremad": "CREMA-D, English",
    "banglaser": "BanglaSER, Bangla",
    "mean": "mean",
}
PUBLIC = """\
Four classes on RAVDESS, UAR in percent, as audEERING's ser-tests print them, without intervals:
CNN14 41, wav2vec 2.0 base 46, HuBERT large 51, wav2vec 2.0 large robust 54, WavLM large (Odyssey
2024) 70. They were trained on over 100 hours of spontaneous English and on no acted speech, so this
model has the easier task; they do not know the speaker."""
Row = dict[str, str]


def main() -> None:
    """Write the card next to the model."""
    with (BENCHMARKS / "voices.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["protocol"] == "open"]
    plain = [row for row in rows if row["voice"] == "none" and row["corpus"] in TITLES]
    stress = read_stress(BENCHMARKS / "stress.csv")
    info = open_model(find_default_model()).info
    values = {
        "MB": f"{find_default_model().stat().st_size / 1e6:.1f}",
        "CLIPS": f"{info.training_clips:,}",
        "SPEAKERS": str(len(info.training_speakers)),
        "OPEN": describe_open(plain),
        "BASIS": describe_basis(plain),
        "VOICES": describe_voices(rows),
        "ONE_SIDED": describe_one_sided(rows),
        "PUBLIC": PUBLIC,
        "GENDERS": describe_genders(rows),
        "T": f"{info.temperature:.2f}",
        "MINC": f"{info.min_confidence:.2f}",
        "CALIBRATION": describe_calibration(plain),
        "STRESS": describe_stress(stress),
        "STRESSED": f"{stress[0].clips:,} of {stress[0].of_clips:,}",
        "DRAWS": count(max(row.draws for row in stress), "random draw"),
        "LABELS": ", ".join(info.labels),
        "CREDITS": describe_credits(info),
    }
    card = TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        card = card.replace(f"{{{{{name}}}}}", value)
    if left := re.findall(r"{{\w+}}", card):
        raise typer.BadParameter(f"{TEMPLATE}: nothing known for {', '.join(left)}")
    write_text(find_default_model().with_name("MODEL_CARD.md"), card)


def show(row: Row) -> str:
    """Return a score with its interval, in percent."""
    value, low, high = (100 * float(row[key]) for key in ("value", "low", "high"))
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def find(rows: Iterable[Row], **wanted: str) -> Row:
    """Return the only row with these entries."""
    (row,) = (row for row in rows if all(row[key] == value for key, value in wanted.items()))
    return row


def list_corpora(rows: Iterable[Row]) -> list[str]:
    """Return the corpora of a table in the order of the card, their mean last."""
    found = {row["corpus"] for row in rows}
    return [corpus for corpus in TITLES if corpus in found]


def describe_open(plain: list[Row]) -> str:
    """Return the scores on each corpus, without a voice."""
    lines = ["| tested on | clips, speakers | four | all shared emotions |", "|---|---|---|---|"]
    for corpus in list_corpora(plain):
        every, four = (find(plain, corpus=corpus, labels=labels) for labels in ("all", "four"))
        clips = f"{int(every['clips']):,}, {every['speakers']}"
        lines.append(f"| {TITLES[corpus]} | {clips} | {show(four)} | {show(every)} |")
    return "\n".join(lines)


def describe_basis(plain: list[Row]) -> str:
    """Return what the scores rest on."""
    seeds = int(plain[0]["seeds"])
    return (
        f"Mean over {count(seeds, 'seed')}. The intervals of the mean take the corpora as fixed: "
        "another corpus may differ far more. Embeddings are of whole clips, without the "
        "recogniser's windows."
    )


def describe_voices(rows: list[Row]) -> str:
    """Return the scores with each kind of voice."""
    names = {
        "none": "no voice",
        "unlabelled": "{} unlabelled, drawn at random",
        "neutral": "{} neutral (without AESDD)",
    }
    lines = ["| recordings of the speaker | UAR |", "|---|---|"]
    for row in rows:
        if row["corpus"] == "mean" and row["labels"] == "four" and row["voice"] in names:
            lines.append(f"| {names[row['voice']].format(row['recordings'])} | {show(row)} |")
    return "\n".join(lines)


def describe_one_sided(rows: list[Row]) -> str:
    """Return what ten recordings of one emotion do."""
    means = [row for row in rows if row["corpus"] == "mean" and row["labels"] == "four"]
    none = float(find(means, voice="none")["value"])
    one = float(find(means, voice="one emotion")["value"])
    parts = []
    for corpus in list_corpora(rows):
        own = [r for r in rows if r["corpus"] == corpus and r["labels"] == "four"]
        if corpus != "mean":
            change = float(find(own, voice="one emotion")["value"]) - float(
                find(own, voice="none")["value"]
            )
            parts.append(f"{TITLES[corpus].split(',')[0]} {100 * change:+.1f}")
    return (
        f"If all ten unlabelled recordings are of one emotion, UAR is {100 * one:.1f}, "
        f"{100 * (one - none):+.1f} points against no voice ({', '.join(parts)})."
    )


def describe_genders(rows: list[Row]) -> str:
    """Return the scores of women and men, the mean over the corpora."""
    women, men = (find(rows, corpus=name) for name in ("women", "men"))
    return (
        f"UAR over all shared emotions, mean of the corpora, without a voice: women {show(women)}, "
        f"men {show(men)} ({int(women['clips']):,} clips of {women['speakers']} women, "
        f"{int(men['clips']):,} of {men['speakers']} men)."
    )


def describe_calibration(plain: list[Row]) -> str:
    """Return calibration error and abstention of each corpus."""
    lines = [
        "| tested on | calibration error, points | not uncertain | right |",
        "|---|---|---|---|",
    ]
    for corpus in list_corpora(plain):
        row = find(plain, corpus=corpus, labels="all")
        error, answered, right = (100 * float(row[k]) for k in ("ece", "answered", "right"))
        lines.append(f"| {TITLES[corpus]} | {error:.1f} | {answered:.0f}% | {right:.0f}% |")
    return "\n".join(lines)


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


def describe_credits(info: ModelInfo) -> str:
    """Return the credit that each corpus asks for."""
    return "\n".join(f"- {corpus.credit} {corpus.licence}. {corpus.url}" for corpus in info.corpora)


if __name__ == "__main__":
    typer.run(main)
