"""The display of several trainings: a bar over all, and one for each that runs."""

import io

from rich.console import Console

from emovox.cli.progress import ProgressBars
from emovox.progress import Epoch


def test_a_bar_over_all_and_one_for_each_running_job() -> None:
    bars = ProgressBars("sweep", Console(file=io.StringIO()))

    def show() -> list[tuple[str, float]]:
        return [(task.description, task.completed) for task in bars.progress.tasks]

    bars.start_jobs(3)
    first, second = bars.start_job("adam"), bars.start_job("sgd")
    first.start_fold("01", 2)
    first.start_clips("embeddings", 4)
    first.end_clip()
    second.start_training(5)
    second.end_epoch(Epoch(2, 1.5, 0.4, float("nan"), float("nan"), 0.01, 0.1))
    assert show() == [
        ("sweep: trainings", 0),
        ("adam, fold 01 of 2: embeddings", 1),
        ("sgd: epochs", 2),
    ]
    second.end_job()
    assert show() == [("sweep: trainings", 1), ("adam, fold 01 of 2: embeddings", 1)]
    first.end_job()
    bars.start_jobs(1)
    assert show() == []
