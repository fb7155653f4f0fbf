"""Write the README's tables, and one of the documentation's, from the committed tables of figures.

    python scripts/write_readme.py

Each `<!-- figure: NAME -->` ... `<!-- end -->` of README.md is filled anew: from
`benchmarks/voices.csv` (`benchmarks/voices.py`), `benchmarks/accuracy.csv` (`make accuracy`),
`benchmarks/reference.csv` (`make reproduce-all` and `benchmarks/reference.py`), and what `emovox
demo` prints; those of docs/experiments.md from `benchmarks/reference_opus.csv` and
`benchmarks/voices.csv`, that of docs/voices.md from the latter.
"""

import csv
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import make_model_card as card

from emovox.files import write_text

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
ACCURACY = ROOT / "benchmarks" / "accuracy.csv"
REFERENCE = ROOT / "benchmarks" / "reference.csv"
EXPERIMENTS = ROOT / "docs" / "experiments.md"
REFERENCE_OPUS = ROOT / "benchmarks" / "reference_opus.csv"
VOICES = ROOT / "benchmarks" / "voices.csv"
VOICES_PAGE = ROOT / "docs" / "voices.md"
PUBLISHED = {
    "HuBERT base, frozen": ("95 million", "66.2", "65.4"),
    "HuBERT large, frozen": ("317 million", "70.3", "70.0"),
    "Whisper large-v3 encoder, frozen": ("635 million", "75.9", "75.3"),
}
"""As the EmoBox benchmark prints them (Ma et al. 2024), without intervals."""

MODELS = {"vanilla": "vanilla", "optimized": "optimized", "encoder": "encoder (ours)"}
DIFFERENCE = "optimized minus vanilla"
Row = dict[str, str]


def main() -> None:
    """Fill every figure of the README and of the documentation."""
    seeds = read_table(ACCURACY)
    accuracy = [row for row in seeds if row["seeds"] == "mean"]
    reference, voices = read_table(REFERENCE), read_table(VOICES)
    figures = {
        "demo": write_demo(),
        "emobox": write_emobox(accuracy, reference),
        "words": write_words([row for row in seeds if row["seeds"] == "0"]),
        "open": write_open(voices),
        "reference": write_protocol(reference, "reference"),
        "repeated": write_protocol(reference, "reference-repeated"),
        "unseen": write_protocol(reference, "emobox-6"),
        "verdicts": write_verdicts(reference),
    }
    fill_figures(README, figures)
    sources = write_sources(reference, read_table(REFERENCE_OPUS))
    fill_figures(EXPERIMENTS, {"sources": sources, "loco": write_loco(voices)})
    fill_figures(VOICES_PAGE, {"curves": write_curves(voices)})


def fill_figures(page: Path, figures: dict[str, str]) -> None:
    """Replace each named figure of a page."""
    text = page.read_text(encoding="utf-8")
    for name, figure in figures.items():
        pattern = re.compile(rf"(<!-- figure: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{page.name}: no place for the figure {name!r}")
        literal = figure.replace("\\", r"\\")
        text = pattern.sub(rf"\g<1>{literal}\n\g<2>", text)
    write_text(page, text)


def read_table(path: Path) -> list[Row]:
    """Read a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def find(rows: list[Row], **wanted: str) -> Row:
    """Return the only row with these values."""
    (found,) = (row for row in rows if all(row[key] == value for key, value in wanted.items()))
    return found


def select(rows: list[Row], protocol: str, model: str) -> list[Row]:
    """Return the rows of a model under a protocol."""
    return [row for row in rows if (row["protocol"], row["model"]) == (protocol, model)]


def fill(text: str, indent: str = "") -> str:
    """Wrap a paragraph as the README is."""
    return textwrap.fill(text, 100, subsequent_indent=indent, break_on_hyphens=False)


def percent(row: Row, *, sign: str = "") -> str:
    """Return a score and its interval, in percent."""
    value, low, high = (100 * float(row[key]) for key in ("value", "low", "high"))
    return f"{value:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})"


def point(row: Row) -> str:
    """Return a score alone, in percent."""
    return f"{100 * float(row['value']):.1f}"


def write_demo() -> str:
    """Return what the demo prints, its longest part left out."""
    with tempfile.TemporaryDirectory() as folder:
        page = str(Path(folder) / "demo.html")
        command = [sys.executable, "-m", "emovox", "demo", "--out", page]
        printed = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    lines = [line for line in printed.stdout.splitlines() if folder not in line]
    return "\n".join(["```text", *lines, "```"])


def write_emobox(accuracy: list[Row], reference: list[Row]) -> str:
    """Return the shipped recipe beside large encoders, on unseen speakers."""
    cnn = {row["score"]: row for row in select(reference, "emobox-6", "vanilla")}
    ours = {row["score"]: row for row in accuracy if row["protocol"] == "emobox-6"}
    wa, ua = percent(ours["WA"]), point(ours["UA"])
    lines = [
        "| `emobox-6`: RAVDESS speech, 8 emotions, **unseen speakers** | parameters | WA | UA |",
        "|---|---|---|---|",
        "| the reference's vanilla CNN | 1.6 million | "
        f"{percent(cnn['WA'])} | {point(cnn['UA'])} |",
    ]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in PUBLISHED.items()]
    lines.append(f"| **emovox' recipe `encoder`** | **6.5 million** | **{wa}** | **{ua}** |")
    luna = find(accuracy, protocol="luna-5", score="UA")
    note = (
        f"{int(ours['WA']['clips']):,} clips of {ours['WA']['speakers']} speakers, 3 seeds (`make "
        f"accuracy`). On the folds of `luna-5`, UA is {percent(luna)}. The expected calibration "
        f"error on unseen speakers is {percent(ours['ECE'])} points."
    )
    return "\n".join([*lines, "", fill(note)])


def write_words(seed: list[Row]) -> str:
    """Return what unseen sentences cost."""
    seen, unseen = (find(seed, protocol=p, score="UA") for p in ("seen-words", "unseen-words"))
    return fill(
        f"- **Unseen speakers, but seen words.** Trained on one of the two sentences, UA is "
        f"{percent(seen)} on the same sentence and {percent(unseen)} on the other (`seen-words` "
        "and `unseen-words`, the same models, 1 seed).",
        indent="  ",
    )


def write_open(voices: list[Row]) -> str:
    """Return how the shipped recipe does on corpora that it was not trained on."""
    rows = [row for row in voices if row["protocol"] == "open" and row["corpus"] in card.TITLES]
    lines = [
        "| trained without it, tested on | clips, speakers | UAR | with ten recordings of the "
        "speaker | calibration error | not uncertain, right |",
        "|---|---|---|---|---|---|",
    ]
    for corpus in card.list_corpora(rows):
        own = [row for row in rows if row["corpus"] == corpus]
        plain, ten = (
            card.find(own, voice=voice, recordings=n, labels="four")
            for voice, n in (("none", "0"), ("unlabelled", "10"))
        )
        every = card.find(own, voice="none", labels="all")
        error, answered, right = (100 * float(every[k]) for k in ("ece", "answered", "right"))
        lines.append(
            f"| {card.TITLES[corpus]} | {int(every['clips']):,}, {every['speakers']} | "
            f"{card.show(plain)} | {card.show(ten)} | {error:.0f} points | {answered:.0f}%, "
            f"{right:.0f}% |"
        )
    return "\n".join(lines)


def write_loco(voices: list[Row]) -> str:
    """Return the scores of each of the six corpora, left out of training."""
    rows = [row for row in voices if row["protocol"] == "loco" and row["corpus"] in card.TITLES]
    lines = [
        "| left out | no voice | ten unlabelled recordings | one neutral recording | ten of one "
        "emotion |",
        "|---|---|---|---|---|",
    ]
    kinds = (("none", "0"), ("unlabelled", "10"), ("neutral", "1"), ("one emotion", "10"))
    for corpus in card.list_corpora(rows):
        own = [row for row in rows if row["corpus"] == corpus and row["labels"] == "four"]
        cells = []
        for voice, n in kinds:
            found = [row for row in own if (row["voice"], row["recordings"]) == (voice, n)]
            cells.append(card.show(found[0]) if found else "")
        lines.append(f"| {card.TITLES[corpus]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write_curves(voices: list[Row]) -> str:
    """Return the scores by number and kind of recordings of the speaker."""
    rows = [row for row in voices if row["protocol"] == "open" and row["corpus"] in card.TITLES]
    corpora = card.list_corpora(rows)
    head = [card.TITLES[corpus].split(",")[0] for corpus in corpora]
    lines = [f"| recordings | {' | '.join(head)} |", "|---|" + "---|" * len(corpora)]
    names = {"none": "none", "unlabelled": "{} unlabelled", "neutral": "{} neutral"}
    names["one emotion"] = "{} of one emotion"
    for kind in dict.fromkeys((row["voice"], row["recordings"]) for row in rows):
        cells = []
        for corpus in corpora:
            found = [
                row
                for row in rows
                if (row["voice"], row["recordings"], row["corpus"], row["labels"])
                == (*kind, corpus, "four")
            ]
            cells.append(card.show(found[0]) if found else "")
        lines.append(f"| {names[kind[0]].format(kind[1])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write_protocol(reference: list[Row], protocol: str) -> str:
    """Return a protocol's table: three models, and the difference between the reference's two."""
    titles = {
        "reference": "`reference`: one split, 36 clips, seen speakers",
        "reference-repeated": "`reference-repeated`: 20 splits, seen speakers",
        "emobox-6": "`emobox-6`: 6 folds, **unseen speakers**",
    }
    single = protocol == "reference"
    extra = " single seeds, WA | the reference printed WA |" if single else ""
    published = {"vanilla": "66.67, then 50.00", "optimized": "77.78, then 66.67"}
    rule = "|---|---|---|---|" + "---|---|" * single
    lines = [f"| {titles[protocol]} | WA | UA | F1 |{extra}", rule]
    for model, name in MODELS.items():
        *scores, span = select(reference, protocol, model)
        cells = [percent(row) for row in scores]
        if single:
            cells.append(f"{100 * float(span['low']):.1f} to {100 * float(span['high']):.1f}")
            cells.append(published.get(model, ""))
        n_seeds = scores[0]["seeds"]
        several = f" ({n_seeds} seeds)" if not single and n_seeds != "1" else ""
        lines.append(f"| {name}{several} | {' | '.join(cells)} |")
    rows = select(reference, protocol, DIFFERENCE)
    cells = [percent(row, sign="+") for row in rows] + ["", ""] * single
    lines.append(f"| {DIFFERENCE} | {' | '.join(cells)} |")
    seeds = rows[0]["seeds"]
    note = f"Percent, 95% intervals, {seeds} seed{'s' * (seeds != '1')}; CNNs on an "
    return "\n".join([*lines, "", f"{note}{rows[0]['processor']}."])


def write_sources(lossless: list[Row], opus: list[Row]) -> str:
    """Return the scores on lossless recordings beside those on the compressed copies."""
    lines = [
        "| | WA, lossless | WA, Opus | UA, lossless | UA, Opus | F1, lossless | F1, Opus |",
        "|---|---|---|---|---|---|---|",
    ]
    n_within, n_pairs = 0, 0
    for protocol in dict.fromkeys(row["protocol"] for row in opus):
        for model in MODELS:
            # The last row of each is the range over seeds.
            before, after = (select(rows, protocol, model)[:3] for rows in (lossless, opus))
            cells = [percent(row) for pair in zip(before, after, strict=True) for row in pair]
            lines.append(f"| `{protocol}`, {model} | {' | '.join(cells)} |")
            if protocol == "reference-repeated":
                n_pairs += len(before)
                n_within += sum(
                    lies_within(a, b) and lies_within(b, a)
                    for a, b in zip(before, after, strict=True)
                )
    within = (
        f"over the 20 splits, {n_within} of {n_pairs} pairs of means lie within each other's "
        "intervals"
        if n_pairs
        else "the 20 splits were not run on the copies yet"
    )
    note = (
        f"Percent, 95% intervals; `reference` is one split with 5 seeds; {within}. Lossless on "
        f"an {select(lossless, 'reference', 'vanilla')[0]['processor']}, Opus on an "
        f"{select(opus, 'reference', 'vanilla')[0]['processor']}."
    )
    return "\n".join([*lines, "", fill(note)])


def lies_within(row: Row, other: Row) -> bool:
    """Return whether a score lies in the interval of another."""
    return float(other["low"]) <= float(row["value"]) <= float(other["high"])


def write_verdicts(reference: list[Row]) -> str:
    """Return what the comparisons say, in their own words."""
    lines = ["What `emovox compare` says of the two:", ""]
    for protocol in ("reference", "reference-repeated", "emobox-6"):
        verdict = select(reference, protocol, DIFFERENCE)[0]["verdict"]
        lines.append(fill(f"- `{protocol}`: {verdict}", indent="  "))
    note = (
        "Another kind of processor gives a CNN other weights from the same seed: seed 0 of "
        "optimized has read 69.4, 63.9 and 58.3 on `reference`. Means over seeds or splits move "
        "far less."
    )
    return "\n".join([*lines, "", fill(note)])


if __name__ == "__main__":
    main()
