"""Progress on stderr: bars on a terminal, and always one line per training."""

import math
import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from emovox.cli.interrupts import raise_lost_interrupt
from emovox.cli.terminal import echo
from emovox.progress import Epoch, Watcher
from emovox.wording import count, make_printable

ESTIMATE_S = 3_600
"""Period over which the time left is estimated: a fold may take many minutes."""


class JobBar(Watcher):
    """Draws a progress bar for the current step of one job.

    Args:
        name: Prefix of the bar's title, e.g. the name of the recipe.
        progress: The display that the bar is part of.
    """

    def __init__(self, name: str, progress: Progress) -> None:
        self.name = self.title = make_printable(name)
        self.progress = progress
        self.last: Epoch | None = None
        self.task: TaskID | None = None

    def start_fold(self, name: str, n_folds: int) -> None:
        """Add the fold to the title, unless it is the only one."""
        self.title = f"{self.name}, fold {name} of {n_folds}" if n_folds > 1 else self.name

    def start_clips(self, action: str, n_clips: int) -> None:
        """Start a bar over clips."""
        self.start_bar(f"{self.title}: {action}", n_clips)

    def end_clip(self) -> None:
        """Advance the bar by one clip."""
        raise_lost_interrupt()
        if self.task is not None:
            self.progress.advance(self.task)

    def start_training(self, n_epochs: int) -> None:
        """Start a bar over epochs."""
        self.last = None
        self.start_bar(f"{self.title}: epochs", n_epochs)

    def end_epoch(self, epoch: Epoch) -> None:
        """Advance the bar, showing losses, accuracies and learning rate."""
        self.last = epoch
        validated = not math.isnan(epoch.validation_loss)
        loss = f" val {epoch.validation_loss:.3f}" if validated else ""
        accuracy = f" val {epoch.validation_accuracy:.2f}" if validated else ""
        note = (
            f"loss {epoch.train_loss:.3f}{loss}  acc {epoch.train_accuracy:.2f}{accuracy}  "
            f"lr {epoch.learning_rate:.1e}"
        )
        if self.task is not None:
            self.progress.update(self.task, completed=epoch.epoch, note=note)

    def end_training(self) -> None:
        """Print one line on the result of the training."""
        if self.last is None:
            return
        text = f"{self.title}: {count(self.last.epoch, 'epoch')}, loss {self.last.train_loss:.3f}"
        if not math.isnan(self.last.validation_loss):
            text += (
                f", validation loss {self.last.validation_loss:.3f}, "
                f"validation accuracy {self.last.validation_accuracy:.2f}"
            )
        echo(text, err=True)

    def start_bar(self, title: str, total: int) -> None:
        """Replace the bar with a new one."""
        self.remove_bar()
        self.task = self.progress.add_task(title, total=total, note="")

    def remove_bar(self) -> None:
        """Remove the bar."""
        if self.task is not None:
            self.progress.remove_task(self.task)
        self.task = None


class ProgressBars(JobBar):
    """Draws a bar over all jobs, and one for the current step of each running job.

    Args:
        name: Prefix of the titles of its own bars.
        console: Console to draw on; ``None``: stderr. Text printed there appears above the bars.
    """

    def __init__(self, name: str, console: Console | None = None) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        progress = Progress(
            *columns,
            console=console or Console(stderr=True),
            transient=True,
            speed_estimate_period=ESTIMATE_S,
            disable=not sys.stderr.isatty(),
            # Only on a terminal: output to a file or a pipe must not be redirected.
            redirect_stdout=sys.stdout.isatty(),
        )
        super().__init__(name, progress)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def start_jobs(self, n_jobs: int) -> None:
        """Start a bar over all jobs, unless there is only one."""
        self.remove_bar()
        if n_jobs > 1:
            self.start_bar(f"{self.title}: trainings", n_jobs)

    def start_job(self, title: str) -> Watcher:
        """Return the bar of a new job."""
        return RunningJob(title, self)


class RunningJob(JobBar):
    """The bar of one of several jobs."""

    def __init__(self, name: str, bars: ProgressBars) -> None:
        super().__init__(name, bars.progress)
        self.bars = bars

    def end_job(self) -> None:
        """Remove the bar, and advance the one over all jobs."""
        self.remove_bar()
        self.bars.end_clip()
