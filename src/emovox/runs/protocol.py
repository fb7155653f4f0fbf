"""The folds of a run, rebuilt from its ``split.csv``."""

from pathlib import Path

from emovox.corpora.cross import list_corpora, restore_labels
from emovox.corpora.folds import Fold, Protocol, check_folds
from emovox.corpora.loco import LOCO, restore_corpora
from emovox.corpora.splits import read_folds
from emovox.recipes.recipe import Recipe
from emovox.runs.corpus import load_run_clips
from emovox.runs.folder import SPLIT_NAME, FinishedRun, check_split, read_split_text


def load_run_protocol(run: FinishedRun, data: Path | None) -> Protocol:
    """Rebuild the folds that a run was trained on from its ``split.csv``.

    Raises:
        CorpusError: The corpus was not found.
        ProtocolError: The corpus lacks a clip of the split.
    """
    entry = run.scores.protocol
    protocol = Protocol(
        name=entry.name,
        version=entry.version,
        description=entry.description,
        speaker_independent=entry.speaker_independent,
        folds=read_run_folds(run.folder, run.recipe, data),
    )
    check_folds(protocol)
    return restore_corpora(protocol) if protocol.name == LOCO else restore_labels(protocol)


def read_run_folds(folder: Path, recipe: Recipe, data: Path | None) -> tuple[Fold, ...]:
    """Read a run's folds from its ``split.csv``, with clips of the corpora in its recipe.

    Raises:
        RunError: The file has changed since the training.
        ProtocolError: The corpus lacks a clip of the split.
    """
    check_split(folder)
    corpora = list_corpora(recipe.data.protocol, recipe.data.corpora)
    return read_folds(folder / SPLIT_NAME, load_run_clips(folder, corpora, data), keep_names=True)


def measure_test_to_train(run: FinishedRun) -> float:
    """Return the ratio of test to training clips, for the correction of overlapping splits."""
    text = read_split_text(run)
    return text.count(",test\n") / text.count(",train\n")
