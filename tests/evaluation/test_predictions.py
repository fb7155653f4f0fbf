from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emovox.errors import RunError
from emovox.evaluation.predictions import Predictions, concatenate_predictions, restrict_labels
from emovox.runs.predictions import read_predictions, write_predictions

LABELS = ("calm", "angry")
HEADER = "clip,fold,speaker,gender,true,predicted,calm,angry\n"


def make(
    clips: list[str], fold: str = "01", labels: tuple[str, ...] = LABELS, seed: int = 0
) -> Predictions:
    generator = np.random.default_rng(seed)
    n = len(clips)
    return Predictions(
        clips=np.array(clips),
        folds=np.array([fold] * n),
        speakers=np.array([f"{i % 3}" for i in range(n)]),
        genders=np.array([("male", "female", "")[i % 3] for i in range(n)]),
        true=generator.integers(len(labels), size=n),
        probabilities=generator.dirichlet(np.ones(len(labels)), size=n),
        labels=labels,
    )


def assert_equal(first: Predictions, second: Predictions) -> None:
    assert first.labels == second.labels
    for name in ("clips", "folds", "speakers", "genders", "true", "probabilities", "predicted"):
        assert getattr(first, name).tolist() == getattr(second, name).tolist(), name


def test_the_file_is_the_documented_one(tmp_path: Path) -> None:
    predictions = Predictions(
        np.array(["03-01", "03,02"]),
        np.array(["01", "01"]),
        np.array(["1", "2"]),
        np.array(["male", ""]),
        np.array([1, 0]),
        np.array([[0.25, 0.75], [0.1, 0.9]]),
        LABELS,
    )
    path = tmp_path / "predictions.csv"
    write_predictions(path, predictions)
    assert path.read_bytes().decode() == (
        HEADER + '03-01,01,1,male,angry,angry,0.25,0.75\n"03,02",01,2,,calm,angry,0.1,0.9\n'
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["predictions.csv"]


@given(seed=st.integers(0, 2**32 - 1), n_clips=st.integers(1, 30))
def test_reading_gives_back_every_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n_clips: int
) -> None:
    path = tmp_path_factory.mktemp("run") / "predictions.csv"
    written = make([f"clip {i}" for i in range(n_clips)], seed=seed)
    write_predictions(path, written)
    assert_equal(read_predictions(path), written)


def test_float32_probabilities_survive(tmp_path: Path) -> None:
    probabilities = np.array([[0.1, 0.9], [1 / 3, 2 / 3]], dtype=np.float32)
    base = make(["a", "b"])
    written = Predictions(
        base.clips, base.folds, base.speakers, base.genders, base.true,
        probabilities.astype(np.float64), LABELS,
    )  # fmt: skip
    write_predictions(tmp_path / "predictions.csv", written)
    read = read_predictions(tmp_path / "predictions.csv").probabilities
    assert np.array_equal(read.astype(np.float32), probabilities)


GOOD = "a,01,1,male,calm,calm,0.9,0.1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: found header ''"),
        ("clip,fold\n", "line 1: found header 'clip,fold'; expected clip,fold,speaker,gender"),
        (HEADER.replace("calm,angry", "calm"), "line 1: found header"),
        (HEADER.replace("angry", "calm"), "line 1: found a label twice in calm, calm"),
        (HEADER.replace("fold,speaker", "speaker,fold") + GOOD, "line 1: found header"),
        (HEADER, "line 1: found no row after the header"),
        (HEADER + "a,01,1,male,calm,calm,0.9\n", "line 2: found 7 fields; expected 8"),
        (HEADER + GOOD + "\n", "line 3: found 0 fields; expected 8"),
        (HEADER + ",01,1,male,calm,calm,0.9,0.1\n", "line 2: found an empty clip"),
        (HEADER + "a,,1,male,calm,calm,0.9,0.1\n", "line 2: found an empty fold"),
        (HEADER + "a,01,,male,calm,calm,0.9,0.1\n", "line 2: found an empty speaker"),
        (HEADER + GOOD.replace("male", "man"), "line 2: found gender 'man'"),
        (HEADER + GOOD.replace("calm,calm", "cross,calm"), "line 2: found true 'cross'"),
        (HEADER + GOOD.replace("calm,calm", "calm,cross"), "line 2: found predicted 'cross'"),
        (HEADER + GOOD.replace("calm,calm", "calm,angry"), "found predicted angry; expected calm"),
        (HEADER + GOOD.replace("0.9", "lots"), "line 2: could not convert string to float: 'lots'"),
        (HEADER + GOOD.replace("0.9", "nan"), r"line 2: found \[nan, 0.1\] as the probabilities"),
        (HEADER + GOOD.replace("0.1", "0.3"), "expected numbers from 0 that sum to 1"),
        (HEADER + GOOD + GOOD, "line 3: found clip a twice in fold 01"),
        (HEADER + 'a,01,1,"male', "line 2: unexpected end of data"),
    ],
)
def test_anything_off_is_refused_with_file_and_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=message) as error:
        read_predictions(path)
    assert str(error.value).startswith(f"{path}, line ")
    assert str(error.value).endswith("evaluate the run again")


def test_a_missing_file_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    with pytest.raises(RunError, match=r"predictions\.csv: cannot be read .*No such file"):
        read_predictions(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match="cannot be read .*utf-8"):
        read_predictions(path)


def test_rows_are_selected_by_mask_and_by_number() -> None:
    predictions = make(["a", "b", "c"])
    assert predictions.select(predictions.clips != "b").clips.tolist() == ["a", "c"]
    assert predictions.select([2, 0]).clips.tolist() == ["c", "a"]
    assert_equal(predictions.select([2, 0]).select([1, 0]), predictions.select([0, 2]))
    with pytest.raises(ValueError, match="found no test clip"):
        predictions.select(predictions.clips == "d")


def test_folds_are_joined_in_their_order() -> None:
    first, second = make(["a", "b"]), make(["a"], fold="02", seed=1)
    joined = concatenate_predictions([first, second])
    assert len(joined) == 3
    assert joined.folds.tolist() == ["01", "01", "02"]
    assert_equal(joined.select(joined.folds == "01"), first)
    assert_equal(joined.select(joined.folds == "02"), second)


@pytest.mark.parametrize(
    ("join", "message"),
    [
        (lambda: [], "expected those of at least one fold"),
        (lambda: [make(["a"]), make(["b"], labels=("angry", "calm"))], "the same order"),
        (lambda: [make(["a"]), make(["a"])], "found clip a twice in fold 01"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    join: Callable[[], list[Predictions]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        concatenate_predictions(join())


def test_arrays_that_do_not_fit_are_refused() -> None:
    base = make(["a", "b"])

    def build(clips: list[str], genders: list[str]) -> Predictions:
        return Predictions(
            np.array(clips), base.folds, base.speakers, np.array(genders), base.true,
            base.probabilities, LABELS,
        )  # fmt: skip

    with pytest.raises(ValueError, match=r"found clips of shape \(1,\); expected \(2,\)"):
        build(["a"], ["", ""])
    with pytest.raises(ValueError, match="found gender 'm'"):
        build(["a", "b"], ["m", ""])
    with pytest.raises(ValueError, match="found clip a twice in fold 01"):
        build(["a", "a"], ["", ""])


def make_three(true: list[int], probabilities: list[list[float]]) -> Predictions:
    """Return predictions over calm, sad and angry."""
    n = len(true)
    return Predictions(
        np.array([f"clip{i}" for i in range(n)]),
        np.array(["01"] * n),
        np.array(["1"] * n),
        np.array(["", "male", "female"][:n]),
        np.array(true),
        np.array(probabilities),
        ("calm", "sad", "angry"),
    )


def test_restricted_labels_share_what_the_others_had() -> None:
    three = make_three([1, 0, 1], [[0.2, 0.2, 0.6], [0.0, 0.0, 1.0], [0.5, 0.3, 0.2]])
    two = restrict_labels(three, ("calm", "sad"))
    assert two.labels == ("calm", "sad")
    # Where all of it went to the forbidden label, nothing is known of the others.
    np.testing.assert_allclose(two.probabilities, [[0.5, 0.5], [0.5, 0.5], [0.625, 0.375]])
    assert two.true.tolist() == [1, 0, 1]
    assert two.genders.tolist() == ["", "male", "female"]
    assert restrict_labels(three, ("calm", "sad", "angry")) is three
    last = restrict_labels(three.select([0, 2]), ("sad", "angry"))
    assert last.true.tolist() == [0, 0]
    np.testing.assert_allclose(last.probabilities, [[0.25, 0.75], [0.6, 0.4]])


@pytest.mark.parametrize("labels", [("sad", "angry"), ("calm", "sad", "fearful")])
def test_labels_that_lack_a_true_one_or_are_unknown_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected some of .*the true label of every clip"):
        restrict_labels(make_three([0], [[0.2, 0.2, 0.6]]), labels)
