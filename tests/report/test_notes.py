import numpy as np
import pytest

from emovox.evaluation.predictions import Predictions
from emovox.report.notes import describe_limits
from emovox.runs.scores import RunScores

SCORES = RunScores.model_validate(
    {
        "run": "r",
        "recipe": "r",
        "protocol": {"name": "cross:ravdess->nemo", "version": 1, "speaker_independent": True},
        "n_folds": 1,
        "n_seeds": 3,
        "summary": {key: {"mean": 0.5} for key in ("accuracy", "uar", "macro_f1")},
        "metrics": {"confusion": [[150, 150], [0, 0]]},
        "folds": [],
    }
)
PREDICTIONS = Predictions(
    np.array([f"clip{n}" for n in range(300)]),
    np.array(["01"] * 300),
    np.array(["nemo-EB0"] * 300),
    np.array(["female"] * 300),
    np.zeros(300, dtype=np.int64),
    np.full((300, 2), 0.5),
    ("calm", "sad"),
)


@pytest.mark.parametrize(
    ("corpus", "note"),
    [
        (
            "ravdess",
            "Acted speech: professional actors speak two fixed sentences in a studio, in N",
        ),
        ("nemo", "Acted speech, recorded for research, in Polish. The scores say nothing about e"),
    ],
)
def test_known_corpora_are_called_acted(corpus: str, note: str) -> None:
    *_, last = describe_limits(SCORES, PREDICTIONS, corpus)
    assert last.startswith(note)
    assert last.endswith("asked to portray, not what anyone felt.")


def test_nothing_is_said_of_a_list_that_is_not_known() -> None:
    (only,) = describe_limits(SCORES, PREDICTIONS, "./calls.csv")
    assert only.startswith("Speaker-independent: no test speaker is in the training data")
