"""Progress of a study: a bar per trial, and a line for each finished trial."""

import math
import sys

from emovox.cli.progress import ProgressBars
from emovox.tuning.study import TuneWatcher
from emovox.tuning.trials import Trial


class TuneProgress(ProgressBars, TuneWatcher):
    """Draws a progress bar for the current trial."""

    def start_trial(self, number: int, n_trials: int, n_trainings: int) -> None:
        """Start a bar over the trainings of the trial."""
        self.n_trainings = n_trainings
        self.title = f"{self.name}, trial {number} ({n_trials} requested)"
        self.start_bar(f"{self.title}: trainings", n_trainings)

    def end_fold(self) -> None:
        """Advance the bar by one training."""
        self.end_clip()

    def start_trainings(self) -> None:
        """Restart the bar over trainings after one over clips."""
        self.start_bar(f"{self.title}: trainings", self.n_trainings)

    def end_trial(self, trial: Trial, best: Trial) -> None:
        """Print one line on the result of the trial."""
        score = "no score" if math.isnan(trial.score) else f"{trial.score:.4f}"
        ending = "" if trial.complete else f", pruned after {len(trial.scores)}"
        best_note = f"; best {best.score:.4f}, trial {best.number}" if best.complete else ""
        sys.stderr.write(f"{self.name}, trial {trial.number}: {score}{ending}{best_note}\n")
        sys.stderr.flush()
