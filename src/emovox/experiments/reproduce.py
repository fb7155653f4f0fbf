"""The reference experiment, reproduced, with the recipe that ships beside its two models."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from emovox.evaluation.compare import Comparison
from emovox.experiments.finished import Run, compare_runs
from emovox.experiments.folds import load_protocol
from emovox.experiments.train_and_test import run_experiment
from emovox.progress import Watcher
from emovox.recipes.recipe import load_recipe
from emovox.training.features import FeatureCache

RECIPES = ("vanilla", "optimized", "encoder")
"""The reference's two, then the one whose model comes with the package."""

PROTOCOLS = ("reference", "reference-repeated")
SPEAKER_INDEPENDENT = "emobox-6"


@dataclass(frozen=True, slots=True)
class PublishedScore:
    """What the reference printed for one of its models.

    Attributes:
        first: WA that it printed first.
        own_analysis: WA that its own error analysis printed for the same model and clips.
    """

    first: float
    own_analysis: float


# As the reference's write-up printed them, for one split of 36 test clips.
PUBLISHED = {
    "vanilla": PublishedScore(first=0.6667, own_analysis=0.5000),
    "optimized": PublishedScore(first=0.7778, own_analysis=0.6667),
}


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """All recipes under one protocol.

    Attributes:
        protocol: Its name.
        runs: One per recipe, in the order of :data:`RECIPES`.
        comparison: Optimized minus vanilla.
        gain: Encoder minus vanilla.
        label: Protocol, version, and whether test speakers were known.
    """

    protocol: str
    runs: tuple[Run, ...]
    comparison: Comparison
    gain: Comparison
    label: str


def reproduce_reference(
    folder: Path,
    data: Path | None,
    *,
    protocols: tuple[str, ...] = PROTOCOLS,
    n_splits: int | None = None,
    watch: Callable[[str], AbstractContextManager[Watcher]],
) -> Iterator[ProtocolResult]:
    """Train and test the reference's models and ours under each protocol in turn.

    What is finished in ``folder`` is not done again.

    Args:
        folder: Where the run folders are made.
        data: Where the corpus lies; ``None``: the usual places.
        protocols: Names, in the order wanted.
        n_splits: Keep only the first folds of each, for a quick look.
        watch: Makes a watcher for a run of the given name.

    Yields:
        The result of each protocol as soon as it is there.
    """
    features = FeatureCache()
    for protocol in protocols:
        runs = []
        for name in RECIPES:
            recipe = load_recipe(name, [f"data.protocol={protocol!r}"])
            folds = load_protocol(recipe, data, n_splits=n_splits)
            with watch(f"{name}, {protocol}") as watcher:
                run = run_experiment(
                    recipe,
                    folds,
                    folder / f"{name}-{protocol}",
                    features=features,
                    resume=True,
                    watcher=watcher,
                )
            runs.append(run)
        vanilla, optimized, encoder = (run.folder for run in runs)
        comparison, label = compare_runs(optimized, vanilla)
        gain, _ = compare_runs(encoder, vanilla)
        yield ProtocolResult(protocol, tuple(runs), comparison, gain, label)


def explain_result(result: ProtocolResult) -> str:
    """Say in words what a protocol's result shows and what it does not."""
    verdict = f"{result.comparison.verdict}. {result.gain.verdict}."
    match result.protocol:
        case "reference":
            return (
                f"{verdict} One split tests 36 clips of speakers that both models trained on: "
                "its interval is too wide to tell models apart that are anything alike, and it "
                "says nothing about new speakers."
            )
        case "reference-repeated":
            return (
                f"{verdict} The test speakers are still those that the models trained on, so "
                "these scores say how well a known voice is read, not a new one."
            )
        case _:
            reached = ", ".join(
                f"{run.recipe.name} {100 * run.evaluation.summary.wa.value:.1f}"
                for run in result.runs
                if run.evaluation is not None
            )
            return (
                f"{verdict} On voices they have never heard, in the same studio and sentences, WA "
                f"is {reached} (chance is 13): a known voice promises more than a new one keeps."
            )
