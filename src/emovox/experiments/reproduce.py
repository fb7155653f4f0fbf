"""Reproduce the reference experiment, and compare its two models with the shipped recipe."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from emovox.corpora.folds import Protocol
from emovox.corpora.locate import find_ravdess
from emovox.corpora.reference_clips import are_reference_clips, check_reference_clips
from emovox.evaluation.comparison import Comparison
from emovox.evaluation.evaluate import BOOTSTRAP_SEED
from emovox.evaluation.summary import Summary, choose_resampling, summarize_seeds
from emovox.experiments.finished import Run, compare_runs
from emovox.experiments.folds import load_protocol
from emovox.experiments.train_and_test import Experiment, run_experiments
from emovox.progress import Watcher
from emovox.recipes.recipe import load_recipe
from emovox.training.features import FeatureCache

RECIPES = ("vanilla", "optimized", "encoder")
"""The two recipes of the reference, and the recipe of the model shipped with the package."""

PROTOCOLS = ("reference", "reference-repeated")
SPEAKER_INDEPENDENT = "emobox-6"

N_SEEDS = {"reference": 5}
"""Trainings per recipe for a single split, where seeds differ more than recipes."""


@dataclass(frozen=True, slots=True)
class PublishedScore:
    """Scores published by the reference for one of its models.

    Attributes:
        first: WA published as the result.
        own_analysis: WA in the reference's error analysis of the same model and clips.
    """

    first: float
    own_analysis: float


# Published in the reference's write-up, for one split of 36 test clips.
PUBLISHED = {
    "vanilla": PublishedScore(first=0.6667, own_analysis=0.5000),
    "optimized": PublishedScore(first=0.7778, own_analysis=0.6667),
}


@dataclass(frozen=True, slots=True)
class RecipeResult:
    """One recipe under one protocol.

    Attributes:
        name: Name of the recipe.
        runs: One run per seed.
        summary: Mean scores over the seeds; their intervals cover other seeds as well.
    """

    name: str
    runs: tuple[Run, ...]
    summary: Summary

    @property
    def wa_of_seeds(self) -> list[float]:
        """Accuracy of each seed, in [0, 1]."""
        return [run.evaluation.summary.wa.value for run in self.runs if run.evaluation is not None]


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """All recipes under one protocol.

    Attributes:
        protocol: Name of the protocol.
        recipes: Results in the order of ``RECIPES``.
        comparison: Optimized minus vanilla.
        gain: Encoder minus vanilla.
        label: Protocol, version, and whether test speakers are in training.
    """

    protocol: str
    recipes: tuple[RecipeResult, ...]
    comparison: Comparison
    gain: Comparison
    label: str


def reproduce_reference(
    folder: Path,
    data: Path | None,
    *,
    protocols: tuple[str, ...] = PROTOCOLS,
    n_splits: int | None = None,
    jobs: int = 1,
    watcher: Watcher | None = None,
) -> Iterator[ProtocolResult]:
    """Train and test the reference's models and ours under each protocol.

    Runs that are finished in ``folder`` are not repeated. All folds of all runs of a protocol can
    train at the same time. Runs on the compressed copies of actors 1 to 4 have ``-opus`` in their
    names, and each run's description names the kind of recordings.

    Args:
        folder: Parent folder of the run folders.
        data: Folder of the corpora or of the compressed copies; ``None`` searches the usual places.
        protocols: Names of the protocols, in order.
        n_splits: Keep only the first folds of each protocol, for a quick look.
        jobs: Number of folds that train at the same time, each in a process with one thread.
        watcher: Receives progress updates.

    Yields:
        The result of each protocol as soon as it is complete.

    Raises:
        CorpusError: RAVDESS is not found, or a compressed copy differs from its checksum.
    """
    found = find_ravdess(data)
    copies = are_reference_clips(found)
    if copies:
        check_reference_clips(found)
    source = "-opus" if copies else ""
    features = FeatureCache(jobs)
    for protocol in protocols:
        n_seeds = N_SEEDS.get(protocol, 1)
        experiments = []
        for name, seed in product(RECIPES, range(n_seeds)):
            recipe = load_recipe(name, [f"data.protocol={protocol!r}", f"seed={seed}"])
            folds = load_protocol(recipe, data, n_splits=n_splits)
            folds = note_recordings(folds, copies=copies)
            of_seed = f"-seed{seed}" if n_seeds > 1 else ""
            title = f"{name}, {protocol}{of_seed.replace('-seed', ', seed ')}"
            experiments.append(
                Experiment(title, recipe, folds, folder / f"{name}-{protocol}{source}{of_seed}")
            )
        runs = run_experiments(experiments, jobs=jobs, features=features, watcher=watcher)
        recipes = []
        for i, name in enumerate(RECIPES):
            of_recipe = runs[i * n_seeds : (i + 1) * n_seeds]
            summary = _summarize_runs(of_recipe, speaker_independent=folds.speaker_independent)
            recipes.append(RecipeResult(name, tuple(of_recipe), summary))
        vanilla, optimized, encoder = ([run.folder for run in r.runs] for r in recipes)
        comparison, label = compare_runs(optimized, vanilla)
        gain, _ = compare_runs(encoder, vanilla)
        yield ProtocolResult(protocol, tuple(recipes), comparison, gain, label)


def note_recordings(protocol: Protocol, *, copies: bool) -> Protocol:
    """Return a protocol whose description names the kind of recordings."""
    clips = [clip for fold in protocol.folds for clip in (*fold.train, *fold.test)]
    kinds = sorted({clip.path.suffix.removeprefix(".").upper() for clip in clips})
    kind = "compressed copies (Opus, 32 kbit/s)" if copies else ", ".join(kinds)
    return replace(protocol, description=f"{protocol.description}; recordings: {kind}")


def _summarize_runs(runs: list[Run], *, speaker_independent: bool) -> Summary:
    """Score the seeds of a recipe together; return the run's own scores for a single seed."""
    seeds = [run.predictions for run in runs if run.predictions is not None]
    resample_by = choose_resampling(seeds[0], speaker_independent=speaker_independent)
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    return summarize_seeds(seeds, resample_by, generator, resample_seeds=True)


def explain_result(result: ProtocolResult) -> str:
    """Explain what a protocol's result shows and what it does not."""
    verdict = (
        f"Optimized and vanilla: {result.comparison.verdict}\n"
        f"Encoder and vanilla: {result.gain.verdict}\n"
    )
    match result.protocol:
        case "reference":
            return (
                f"{verdict}One split tests 36 clips of speakers that all models trained on: it "
                "can tell models apart only if they are very different, and says nothing about "
                "unseen speakers."
            )
        case "reference-repeated":
            return (
                f"{verdict}The models also trained on the test speakers, so these scores show how "
                "well seen speakers are recognized, not unseen ones."
            )
        case _:
            reached = ", ".join(
                f"{recipe.name} {100 * recipe.summary.wa.value:.1f}" for recipe in result.recipes
            )
            return (
                f"{verdict}On unseen speakers, in the same studio and with the same sentences, WA "
                f"is {reached} (chance is 13): lower than what the same recipes reach on seen "
                "speakers."
            )
