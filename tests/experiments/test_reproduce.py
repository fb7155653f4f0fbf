from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

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


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Counter(Watcher):
    """Counts epochs by the run's name."""

    def __init__(self) -> None:
        self.name = ""
        self.epochs: dict[str, int] = {}

    def end_epoch(self, epoch: Epoch) -> None:
        assert epoch.epoch >= 1
        self.epochs[self.name] = self.epochs.get(self.name, 0) + 1

    @contextmanager
    def watch(self, name: str) -> Iterator[Watcher]:
        self.name = name
        yield self


def reproduce_tiny(
    tiny_recipe: Recipe, data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[ProtocolResult], Counter]:
    """Reproduce with small networks, actors 1-6 instead of 24, and two folds of each protocol."""

    def load_small(name: str, changes: list[str]) -> Recipe:
        (change,) = changes
        protocol = change.partition("=")[2].strip("'")
        values = tiny_recipe.model_dump()
        values |= {"name": name, "seed": RECIPES.index(name), "data": {"protocol": protocol}}
        return build_recipe(values)

    monkeypatch.setattr(reproduce, "load_recipe", load_small)
    counter = Counter()
    results = reproduce_reference(
        folder,
        data,
        protocols=("reference", "reference-repeated", "loso"),
        n_splits=2,
        watch=counter.watch,
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
        assert [run.recipe.name for run in result.runs] == ["vanilla", "optimized", "encoder"]
        assert result.comparison.names == ("optimized", "vanilla")
        assert result.gain.names == ("encoder", "vanilla")
        for run in result.runs:
            assert run.folder == tmp_path / f"{run.recipe.name}-{result.protocol}"
            assert (run.folder / "report.html").is_file()
    assert set(counter.epochs) == {
        f"{name}, {result.protocol}" for name in RECIPES for result in results
    }
    explained = [explain_result(result) for result in results]
    for result, text in zip(results, explained, strict=True):
        assert text.startswith(result.comparison.verdict)
    assert "too wide to tell models apart" in explained[0]
    assert "still those that the models trained on" in explained[1]
    assert "On voices they have never heard" in explained[2]

    again, counter = reproduce_tiny(tiny_recipe, tiny_corpus, tmp_path, monkeypatch)
    assert counter.epochs == {}
    assert [explain_result(result) for result in again] == explained


def test_default_is_what_the_reference_printed() -> None:
    assert (RECIPES, PROTOCOLS) == (
        ("vanilla", "optimized", "encoder"),
        ("reference", "reference-repeated"),
    )
    found = {name: (score.first, score.own_analysis) for name, score in PUBLISHED.items()}
    assert found == {"vanilla": (0.6667, 0.5), "optimized": (0.7778, 0.6667)}
