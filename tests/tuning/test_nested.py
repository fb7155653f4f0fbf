"""Nested choice: no test clip has a part in it, it can be resumed, and its numbers are right."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Protocol
from emovox.corpora.protocols import make_protocol
from emovox.corpora.read import load_clips
from emovox.errors import ProtocolError, RecipeError, RunError
from emovox.evaluation.metrics import compute_metrics
from emovox.experiments.export import export_run
from emovox.experiments.finished import compare_runs, evaluate_run
from emovox.experiments.train_and_test import run_experiment
from emovox.labels import EMOTIONS
from emovox.recipes.recipe import Recipe, load_recipe
from emovox.recognition.model_file import open_model
from emovox.runs.predictions import read_predictions
from emovox.training.features import ClipSet, FeatureCache
from emovox.tuning.nested import NestedTuning, tune_nested
from emovox.tuning.study import StudySettings, TuneWatcher

SETTINGS = StudySettings("mine", n_trials=2)


class Spy(FeatureCache):
    """Notes which clips are asked for, and in which step."""

    def __init__(self) -> None:
        super().__init__(jobs=1)
        self.step = ""
        self.asked: dict[str, set[str]] = {}
        self.n_trainings: dict[str, int] = {}

    def load(
        self,
        clips: Sequence[Clip],
        recipe: Recipe,
        *,
        labels: tuple[str, ...] = EMOTIONS,
        augment: bool = False,
        on_clip: Callable[[], None] = lambda: None,
    ) -> ClipSet:
        self.asked.setdefault(self.step, set()).update(clip.name for clip in clips)
        return super().load(clips, recipe, labels=labels, augment=augment, on_clip=on_clip)

    @contextmanager
    def watch(self, name: str) -> Iterator[TuneWatcher]:
        self.step = name
        yield Counter(self)


class Counter(TuneWatcher):
    """Counts trainings of the search that runs."""

    def __init__(self, spy: Spy) -> None:
        self.spy = spy

    def end_fold(self) -> None:
        self.spy.n_trainings[self.spy.step] = self.spy.n_trainings.get(self.spy.step, 0) + 1


@pytest.fixture(scope="module")
def spy() -> Spy:
    return Spy()


@pytest.fixture(scope="module")
def nested(
    spy: Spy,
    tune_recipe_tiny: Recipe,
    tiny_protocol: Protocol,
    tmp_path_factory: pytest.TempPathFactory,
) -> NestedTuning:
    folder = tmp_path_factory.mktemp("nested")
    return tune_nested(
        tune_recipe_tiny, tiny_protocol, folder, settings=SETTINGS, features=spy, watch=spy.watch
    )


def test_test_clips_take_no_part_in_the_choice(
    nested: NestedTuning, spy: Spy, tiny_protocol: Protocol
) -> None:
    assert len(nested.folds) == 2
    for fold in tiny_protocol.folds:
        asked = spy.asked[f"mine, fold {fold.name}"]
        assert asked == {clip.name for clip in (*fold.train, *fold.validation)}
        assert asked.isdisjoint(clip.name for clip in fold.test)
        # Four training speakers: four inner folds in each of two trials.
        assert spy.n_trainings[f"mine, fold {fold.name}"] == 8
    # The shared search does see test speakers, as validation speakers of other folds.
    assert spy.asked["mine"] & {clip.name for clip in tiny_protocol.folds[0].test}


def test_each_fold_is_trained_with_its_choice_and_tested_once(
    nested: NestedTuning, tune_recipe_tiny: Recipe, tiny_protocol: Protocol, tmp_path: Path
) -> None:
    predictions = read_predictions(nested.nested_folder / "predictions.csv")
    assert predictions.clips.tolist() == [c.name for f in tiny_protocol.folds for c in f.test]
    for fold, tuning in zip(tiny_protocol.folds, nested.folds, strict=True):
        folder = nested.nested_folder / f"fold-{fold.name}"
        chosen = load_recipe(folder / "chosen.toml")
        assert tuning.winner is not None
        assert chosen.name == "tiny"
        assert chosen.training.epochs == tuning.winner.settings["training.epochs"]
        assert tuning.winner.score == max(trial.score for trial in tuning.trials if trial.complete)
        assert json.loads((folder / "trials.json").read_text())["winner"] == tuning.winner.number
        info = open_model(folder / "model.onnx").info
        assert info.recipe == chosen.to_toml()
        assert info.training_clips == len(fold.train)
        # As an experiment on this fold alone, by the recipe that was chosen for it.
        alone = run_experiment(
            chosen, replace(tiny_protocol, folds=(fold,)), tmp_path / fold.name, keep_models=False
        )
        assert alone.predictions is not None
        rows = predictions.folds == fold.name
        assert np.array_equal(predictions.probabilities[rows], alone.predictions.probabilities)
    scores = compute_metrics(predictions.true, predictions.probabilities, EMOTIONS)
    assert nested.nested_score.metrics.uar == scores.uar
    assert tune_recipe_tiny.name == "tiny"


def test_the_shared_choice_is_tested_on_the_same_clips(nested: NestedTuning) -> None:
    shared = read_predictions(nested.shared_folder / "predictions.csv")
    chosen = {path.read_text() for path in nested.shared_folder.rglob("chosen.toml")}
    assert len(chosen) == 1
    difference = nested.nested_score.metrics.accuracy - nested.shared_score.metrics.accuracy
    assert nested.comparison.wa.value == pytest.approx(difference)
    assert nested.comparison.names == ("tiny-nested", "tiny-shared")
    assert nested.shared_score.summary.n_clips == len(shared) == 64
    content = json.loads(json.dumps(nested.to_dict()))
    assert len(content["folds"]) == 2
    assert content["comparison"]["WA"]["value"] == pytest.approx(difference)


def test_its_run_folders_are_runs(nested: NestedTuning, tiny_corpus: Path, tmp_path: Path) -> None:
    before = (nested.nested_folder / "predictions.csv").read_bytes()
    again = evaluate_run(nested.nested_folder, tiny_corpus)
    assert again.metrics.accuracy == nested.nested_score.metrics.accuracy
    assert (nested.nested_folder / "predictions.csv").read_bytes() == before
    assert (nested.nested_folder / "report.html").is_file()
    comparison, label = compare_runs(nested.nested_folder, nested.shared_folder)
    assert (comparison, label) == (nested.comparison, "custom-tiny v1, speaker-independent")
    # Each fold's network has a shape of its own.
    for fold in ("01", "02"):
        path, _ = export_run(
            nested.nested_folder, "onnx", fold=fold, out=tmp_path, data=tiny_corpus
        )
        source = nested.nested_folder / f"fold-{fold}" / "model.onnx"
        assert open_model(path).info == open_model(source).info


def test_an_interrupted_search_goes_on_and_a_tested_fold_is_not_chosen_again(
    nested: NestedTuning,
    tune_recipe_tiny: Recipe,
    tiny_protocol: Protocol,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("emovox.report.page.write_report", lambda *_: None)  # it takes seconds
    folder = tmp_path / "cut"
    steps: list[str] = []

    @contextmanager
    def cut(name: str) -> Iterator[TuneWatcher]:
        steps.append(name)
        if name in ("mine, fold 02", "mine, shared") and name not in steps[:-1]:
            raise KeyboardInterrupt
        yield TuneWatcher()

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            tune_nested(tune_recipe_tiny, tiny_protocol, folder, settings=SETTINGS, watch=cut)
    resumed = tune_nested(tune_recipe_tiny, tiny_protocol, folder, settings=SETTINGS, watch=cut)
    for name in ("predictions.csv", "fold-01/chosen.toml"):
        found = (resumed.nested_folder / name).read_bytes()
        assert found == (nested.nested_folder / name).read_bytes()
    # Other settings than those that were tested: as if later trials had found better ones.
    path = resumed.nested_folder / "fold-01" / "chosen.toml"
    path.write_text(path.read_text().replace("batch_size = 8", "batch_size = 9"))
    with pytest.raises(RunError, match=r"chosen\.toml differs .* tested once: .* --study"):
        tune_nested(tune_recipe_tiny, tiny_protocol, folder, settings=SETTINGS)


def test_what_cannot_be_nested_is_refused_and_nothing_written(
    tiny_recipe: Recipe,
    tune_recipe_tiny: Recipe,
    tiny_protocol: Protocol,
    tiny_corpus: Path,
    tmp_path: Path,
) -> None:
    dependent = replace(tiny_protocol, speaker_independent=False)
    everything = make_protocol("everything", load_clips(tiny_corpus))
    untested = replace(everything, speaker_independent=True)
    first = StudySettings(folds=("01",))
    for recipe, protocol, settings, error, what in (
        (tiny_recipe, tiny_protocol, SETTINGS, RecipeError, r"\[tune.space\]"),
        (tune_recipe_tiny, dependent, SETTINGS, ProtocolError, "is speaker-dependent"),
        (tune_recipe_tiny, untested, SETTINGS, ProtocolError, "without test clips"),
        (tune_recipe_tiny, tiny_protocol, first, ProtocolError, "leave out --fold"),
    ):
        with pytest.raises(error, match=what):
            tune_nested(recipe, protocol, tmp_path / "runs", settings=settings)
    assert list(tmp_path.iterdir()) == []
