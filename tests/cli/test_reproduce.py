"""``emovox reproduce``: the reference experiment, here with recipes made tiny."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emovox.experiments.reproduce import N_SEEDS
from emovox.recipes.recipe import Recipe, load_recipe
from emovox.runs.metrics import describe_machine

TINY = (
    "frontend.sample_rate_hz=8000",
    "frontend.n_fft=256",
    "frontend.hop_samples=128",
    "frontend.image_height=16",
    "frontend.image_width=16",
    "network.conv_channels=[4]",
    "network.dense_units=[8]",
    "training.epochs=1",
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the reference's recipes tiny."""

    def load(name: str, changes: tuple[str, ...] = ()) -> Recipe:
        changes = (*changes, *TINY)
        # The encoder would embed every clip: a third name is all that is needed here.
        return load_recipe("vanilla" if name == "encoder" else name, changes).model_copy(
            update={"name": name}
        )

    monkeypatch.setattr("emovox.experiments.reproduce.load_recipe", load)
    monkeypatch.setitem(N_SEEDS, "reference", 2)


@pytest.mark.usefixtures("tiny")
def test_both_protocols_are_printed_with_what_follows(
    call: Callable[..., Any], tiny_corpus: Path
) -> None:
    answer = call("reproduce", "--data", tiny_corpus, "--splits", "2")
    assert answer.status == 0
    text = answer.stdout
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    assert words.index("reference v1, speaker-dependent: 1 fold, 2 seeds") < words.index(
        "reference-repeated v1, speaker-dependent: 2 folds, 1 seed"
    )
    assert "95% t intervals over 2 seeds and " in words
    assert "The reference reported WA 66.67 for vanilla, and 50.00 in its own error" in words
    assert "The reference reported WA 77.78 for optimized, and 66.67" in words
    assert "says nothing about unseen speakers" in words
    assert "not unseen ones" in words
    assert "emobox" not in text
    assert f"Processor: {describe_machine()['processor']}. On a different processor, the" in words
    for name in ("vanilla", "optimized", "encoder"):
        for protocol in (*(f"reference-seed{seed}" for seed in range(2)), "reference-repeated"):
            assert f"report: runs/{name}-{protocol}/report.html" in text
            assert Path(f"runs/{name}-{protocol}/report.html").is_file()
    cell = r"([+-]?\d+\.\d) \(([+-]?\d+\.\d) to ([+-]?\d+\.\d)\)"
    rows = [line for line in text.splitlines() if re.match(r"(WA|UA|F1) +[+-]?\d", line)]
    # Of each protocol three scores of three recipes, and of two differences.
    assert len(rows) == 12
    for i, row in enumerate(rows):
        cells = [[float(n) for n in found] for found in re.findall(cell, row)]
        assert len(cells) == (3 if i % 6 < 3 else 2)
        assert all(low <= value <= high for value, low, high in cells)
    assert "optimized - vanilla      encoder - vanilla" in text
    assert "WA of single seeds, from the lowest to the highest of 2:" in text
    ranges = re.findall(r"(?<![(+-] )(\d+\.\d) to (\d+\.\d)(?!\))", text)
    assert len(ranges) == 3
    for (low, high), (mean, *_) in zip(ranges, re.findall(cell, rows[0]), strict=True):
        assert float(low) <= float(mean) <= float(high)
    assert "epochs, loss" not in text
    again = call("reproduce", "--data", tiny_corpus, "--splits", "2")
    assert (again.status, again.stdout) == (0, text)
    assert "epochs" not in again.stderr
    assert re.findall(r"^(\S+) finished after \d+\.\d min$", again.stderr, re.MULTILINE) == [
        "reference",
        "reference-repeated",
    ]


def test_a_corpus_that_was_named_is_not_downloaded(call: Callable[..., Any]) -> None:
    answer = call("reproduce", "--data", "nowhere")
    assert (answer.status, answer.stdout) == (1, "")
    (line,) = answer.stderr.splitlines()
    assert line.startswith("emovox: nowhere (--data) is not a folder")
