from pathlib import Path

import numpy as np
import pytest

from emovox.experiments import reproduce
from emovox.experiments.reproduce import (
    PROTOCOLS,
    PUBLISHED,
    RECIPES,
    ProtocolResult,
    explain_result,
    reproduce_reference,
)
from emovox.progress import Epoch, Watcher
from emovox.recipes.recipe import Recipe, build_recipe


class Counter(Watcher):
    """Counts epochs by the run's name."""

    def __init__(self) -> None:
        self.name = ""
        self.epochs: dict[str, int] = {}

    def end_epoch(self, epoch: Epoch) -> None:
        assert epoch.epoch >= 1
        self.epochs[self.name] = self.epochs.get(self.name, 0) + 1

    def start_job(self, title: str) -> Watcher:
        self.name = title
        return self


def reproduce_tiny(
    tiny_recipe: Recipe, data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[ProtocolResult], Counter]:
    """Reproduce with small networks, actors 1-6 instead of 24, and two folds of each protocol."""

    def load_small(name: str, changes: list[str]) -> Recipe:
        protocol, seed = (change.partition("=")[2].strip("'") for change in changes)
        values = tiny_recipe.model_dump()
        values |= {"name": name, "seed": int(seed), "data": {"protocol": protocol}}
        values["training"]["learning_rate"] = 0.01 / (1 + RECIPES.index(name))
        return build_recipe(values)

    monkeypatch.setattr(reproduce, "load_recipe", load_small)
    monkeypatch.setitem(reproduce.N_SEEDS, "reference", 2)
    counter = Counter()
    results = reproduce_reference(
        folder,
        data,
        protocols=("reference", "reference-repeated", "loso"),
        n_splits=2,
        watcher=counter,
    )
    return list(results), counter


def test_every_model_under_each_protocol_and_once_only(
    tiny_recipe: Recipe, tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, counter = reproduce_tiny(tiny_recipe, tiny_corpus, tmp_path, monkeypatch)
    assert [result.protocol for result in results] == ["reference", "reference-repeated", "loso"]
    assert [result.label for result in results] == [
        "reference v1, speaker-dependent",
        "reference-repeated v1, speaker-dependent",
        "loso v1, speaker-independent",
    ]
    for result in results:
        assert [recipe.name for recipe in result.recipes] == ["vanilla", "optimized", "encoder"]
        assert result.comparison.names == ("optimized", "vanilla")
        assert result.gain.names == ("encoder", "vanilla")
        seeds = range(2) if result.protocol == "reference" else [0]
        for recipe in result.recipes:
            assert [run.recipe.seed for run in recipe.runs] == list(seeds)
            for run in recipe.runs:
                seed = f"-seed{run.recipe.seed}" if len(seeds) > 1 else ""
                assert run.folder == tmp_path / f"{recipe.name}-{result.protocol}{seed}"
                assert (run.folder / "report.html").is_file()
            assert recipe.summary.wa.value == pytest.approx(np.mean(recipe.wa_of_seeds))
    reference, repeated, _ = results
    assert reference.comparison.n_seeds == (2, 2)
    vanilla, optimized, _ = reference.recipes
    difference = optimized.summary.wa.value - vanilla.summary.wa.value
    assert reference.comparison.wa.value == pytest.approx(difference)
    assert vanilla.summary.n_resampled_seeds == 2
    # A single seed is scored as its own run is.
    run = repeated.recipes[0].runs[0]
    assert run.evaluation is not None
    assert repeated.recipes[0].summary == run.evaluation.summary
    assert set(counter.epochs) == {
        f"{name}, {of_protocol}"
        for name in RECIPES
        for of_protocol in (
            *(f"reference, seed {seed}" for seed in range(2)),
            "reference-repeated",
            "loso",
        )
    }
    explained = [explain_result(result) for result in results]
    for result, text in zip(results, explained, strict=True):
        assert f"Optimized and vanilla: {result.comparison.verdict}" in text
        assert f"Encoder and vanilla: {result.gain.verdict}" in text
    assert "can tell models apart only if they are very different" in explained[0]
    assert "models also trained on the test speakers" in explained[1]
    assert "On unseen speakers" in explained[2]

    again, counter = reproduce_tiny(tiny_recipe, tiny_corpus, tmp_path, monkeypatch)
    assert counter.epochs == {}
    assert [explain_result(result) for result in again] == explained


def test_default_is_what_the_reference_printed() -> None:
    assert (RECIPES, PROTOCOLS) == (
        ("vanilla", "optimized", "encoder"),
        ("reference", "reference-repeated"),
    )
    assert reproduce.N_SEEDS == {"reference": 5}
    found = {name: (score.first, score.own_analysis) for name, score in PUBLISHED.items()}
    assert found == {"vanilla": (0.6667, 0.5), "optimized": (0.7778, 0.6667)}
