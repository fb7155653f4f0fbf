"""How long work goes on: who watches it, and what an epoch reports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Epoch:
    """One row of ``history.csv``.

    Attributes:
        epoch: From 1.
        train_loss: Mean over the epoch's batches as they were trained, penalties included.
        train_accuracy: Share of them right, in [0, 1].
        validation_loss: After the epoch, penalties included (as in Keras); NaN without clips.
        validation_accuracy: After the epoch, in [0, 1]; NaN without clips.
        learning_rate: Used during the epoch.
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
    """Hears how an experiment goes on; the command line's draws progress bars."""

    def start_fold(self, name: str, n_folds: int) -> None:
        """A fold begins."""

    def start_clips(self, action: str, n_clips: int) -> None:
        """So many clips will be worked on."""

    def end_clip(self) -> None:
        """One of them is done."""

    def start_training(self, n_epochs: int) -> None:
        """Training begins, of at most so many epochs."""

    def end_epoch(self, epoch: Epoch) -> None:
        """An epoch is done."""

    def end_training(self) -> None:
        """Training is done."""
