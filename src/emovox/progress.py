"""Progress updates: the interface that receives them, and the results of an epoch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Epoch:
    """One row of ``history.csv``.

    Attributes:
        epoch: Epoch number, from 1.
        train_loss: Mean loss of the training batches during the epoch, penalties included.
        train_accuracy: Accuracy on the training batches during the epoch, in [0, 1].
        validation_loss: Loss after the epoch, penalties included (as in Keras); NaN without
            validation clips.
        validation_accuracy: Accuracy after the epoch, in [0, 1]; NaN without validation clips.
        learning_rate: Learning rate during the epoch.
        seconds: Wall time of the epoch.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float


class Watcher:
    """Receives progress updates; the command line draws progress bars from them.

    Several folds may train at the same time: each has the watcher that ``start_job`` returns.
    """

    def start_jobs(self, n_jobs: int) -> None:
        """Called before ``n_jobs`` folds or other jobs, of which several run at a time."""

    def start_job(self, title: str) -> "Watcher":  # noqa: ARG002
        """Called when a job starts; returns the watcher of its updates."""
        return self

    def end_job(self) -> None:
        """Called on the watcher of a job when the job is done."""

    def start_fold(self, name: str, n_folds: int) -> None:
        """Called when a fold starts."""

    def start_clips(self, action: str, n_clips: int) -> None:
        """Called before ``n_clips`` clips are processed."""

    def end_clip(self) -> None:
        """Called after each clip."""

    def start_training(self, n_epochs: int) -> None:
        """Called before training for at most ``n_epochs`` epochs."""

    def end_epoch(self, epoch: Epoch) -> None:
        """Called after each epoch."""

    def end_training(self) -> None:
        """Called after training."""
