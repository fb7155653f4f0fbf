"""What a trial is scored on: validation clips, and never a test clip."""

from dataclasses import replace
from pathlib import Path

import pytest

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Fold, Protocol
from emovox.corpora.protocols import make_protocol
from emovox.corpora.read import load_clips
from emovox.errors import ProtocolError
from emovox.labels import EMOTIONS
from emovox.progress import Watcher
from emovox.recipes.recipe import Recipe, change_settings
from emovox.training.features import FeatureCache
from emovox.tuning.objective import (
    Metric,
    Objective,
    split_training_speakers,
    take_inner_folds,
)


def make_objective(protocol: Protocol, metric: Metric, n_seeds: int = 1) -> Objective:
    return Objective(take_inner_folds(protocol), metric, n_seeds)


def score(objective: Objective, recipe: Recipe, training: int) -> float:
    found = objective.list_jobs(recipe)[training].function(FeatureCache(jobs=1), Watcher())
    assert isinstance(found, float)
    return found


def test_inner_folds_hold_no_test_clip(tiny_protocol: Protocol) -> None:
    first, second = take_inner_folds(tiny_protocol)
    assert (first.name, second.name) == ("01", "02")
    assert {clip.speaker for clip in first.train} == {"1", "2", "3"}
    assert {clip.speaker for clip in first.validation} == {"4"}
    assert not hasattr(first, "test")


def test_test_clips_need_not_even_be_there(
    tiny_protocol: Protocol, tune_recipe_tiny: Recipe, tmp_path: Path
) -> None:
    fold = tiny_protocol.folds[0]
    gone = tuple(replace(clip, path=tmp_path / "gone.wav") for clip in fold.test)
    protocol = replace(tiny_protocol, folds=(replace(fold, test=gone),))
    assert 0 < score(make_objective(protocol, Metric.UA), tune_recipe_tiny, 0) <= 1


def test_folds_are_chosen_by_name(tiny_protocol: Protocol) -> None:
    (only,) = take_inner_folds(tiny_protocol, ["02"])
    assert only.name == "02"
    with pytest.raises(ProtocolError, match="no fold '3'; expected one of 01, 02"):
        take_inner_folds(tiny_protocol, ["3"])


def test_a_fold_without_validation_is_refused(tiny_protocol: Protocol) -> None:
    fold = replace(tiny_protocol.folds[0], validation=())
    with pytest.raises(ProtocolError, match="fold 01: no validation clips"):
        take_inner_folds(replace(tiny_protocol, folds=(fold,)))


def test_trainings_go_through_the_folds_then_the_seeds(
    tiny_protocol: Protocol, tune_recipe_tiny: Recipe
) -> None:
    objective = make_objective(tiny_protocol, Metric.LOG_LOSS, n_seeds=2)
    assert objective.n_trainings == 4
    next_seed = change_settings(tune_recipe_tiny, {"seed": tune_recipe_tiny.seed + 1})
    assert score(objective, tune_recipe_tiny, 3) == score(objective, next_seed, 1)
    assert score(objective, tune_recipe_tiny, 3) != score(objective, tune_recipe_tiny, 1)


def test_scores_are_those_of_the_validation_clips(
    tiny_protocol: Protocol, tune_recipe_tiny: Recipe
) -> None:
    trained = change_settings(tune_recipe_tiny, {"training.epochs": 12})
    assert score(make_objective(tiny_protocol, Metric.UA), trained, 0) > 0.5
    # So small a rate leaves the first weights: little better than any of eight classes, ln 8.
    idle = change_settings(tune_recipe_tiny, {"training.learning_rate": 1e-9})
    assert score(make_objective(tiny_protocol, Metric.LOG_LOSS), idle, 0) == pytest.approx(
        2.1, abs=0.5
    )


class Counter(Watcher):
    """Counts the clips whose features are computed."""

    n_clips = 0

    def end_clip(self) -> None:
        self.n_clips += 1


def test_clips_are_computed_once(tiny_protocol: Protocol, tune_recipe_tiny: Recipe) -> None:
    objective = make_objective(tiny_protocol, Metric.UA)
    features, watcher = FeatureCache(jobs=1), Counter()
    # Actors 1-3 and 4, 4-6 and 3: all six, 16 clips each.
    for _ in range(2):
        objective.store_features(tune_recipe_tiny, features, watcher)
        assert watcher.n_clips == 96
    fold = tiny_protocol.folds[0]
    assert features.count_unknown([*fold.train, *fold.validation], tune_recipe_tiny) == 0


def test_inner_folds_of_a_test_fold_are_whole_training_speakers(tiny_corpus: Path) -> None:
    for fold in make_protocol("loso", load_clips(tiny_corpus)).folds:
        inner = split_training_speakers(fold, EMOTIONS)
        assert [part.name for part in inner] == [f"{fold.name}.{i}" for i in range(1, 6)]
        training = {*fold.train, *fold.validation}
        for part in inner:
            assert {*part.train, *part.validation} == training
            assert {c.speaker for c in part.train}.isdisjoint(c.speaker for c in part.validation)
        # Every training clip validates once, no test clip ever.
        validated = [clip for part in inner for clip in part.validation]
        assert len(validated) == len(training)
        assert {*validated} == training
        assert training.isdisjoint(fold.test)


def test_inner_folds_share_women_and_men_and_keep_other_corpora_for_training(
    tiny_protocol: Protocol,
) -> None:
    clip = tiny_protocol.folds[0].train[0]

    def make_clip(name: str, speaker: int, corpus: str = "ravdess") -> Clip:
        gender = "female" if speaker % 2 else "male"
        return replace(clip, name=name, speaker=str(speaker), gender=gender, corpus=corpus)

    speech = tuple(make_clip(f"s{n}", n) for n in range(1, 21))
    songs = (make_clip("song", 1, "ravdess-song"), make_clip("nemo", 99, "nemo"))
    fold = Fold("03", (*speech[4:], *songs), speech[:4], (make_clip("t", 30),))
    inner = split_training_speakers(fold, EMOTIONS)
    for part in inner:
        assert sorted(c.gender or "" for c in part.validation) == ["female"] * 2 + ["male"] * 2
        assert {c.corpus for c in part.validation} == {"ravdess"}
        sings = "1" in {c.speaker for c in part.validation}
        assert [c.name for c in part.train if c.corpus != "ravdess"] == ["song", "nemo"][sings:]


def test_one_training_speaker_cannot_be_split(tiny_protocol: Protocol) -> None:
    fold = tiny_protocol.folds[0]
    one = replace(fold, train=tuple(c for c in fold.train if c.speaker == "1"), validation=())
    with pytest.raises(ProtocolError, match="fold 01: found 1 training speakers; .* at least 2"):
        split_training_speakers(one, EMOTIONS)
    two = replace(fold, train=tuple(c for c in fold.train if c.speaker in "12"), validation=())
    assert len(split_training_speakers(two, EMOTIONS)) == 2


def test_metrics_are_shown_as_people_read_them() -> None:
    assert (Metric.UA.show(0.7049), Metric.UA.label, Metric.UA.rises) == ("70.5", "UA", True)
    assert (Metric.LOG_LOSS.show(1.23456), Metric.LOG_LOSS.rises) == ("1.235", False)
