"""Progress of a study: a bar over a trial's trainings, and a line for each finished trial."""

import math
import sys

from emovox.cli.progress import ProgressBars
from emovox.tuning.study import TuneWatcher
from emovox.tuning.trials import Trial


class TuneProgress(ProgressBars, TuneWatcher):
    """Draws one bar for the trial that runs."""

    def start_trial(self, number: int, n_trials: int, n_trainings: int) -> None:
        """Begin a bar over the trial's trainings."""
        self.n_trainings = n_trainings
        self.title = f"{self.name}, trial {number}, {n_trials} wanted"
        self.start_bar(f"{self.title}: trainings", n_trainings)

    def end_fold(self) -> None:
        """Advance it."""
        self.end_clip()

    def start_trainings(self) -> None:
        """Begin the bar anew after one over clips."""
        self.start_bar(f"{self.title}: trainings", self.n_trainings)

    def end_trial(self, trial: Trial, best: Trial) -> None:
        """Write one line on how the trial ended."""
        score = "no score" if math.isnan(trial.score) else f"{trial.score:.4f}"
        ending = "" if trial.complete else f", pruned after {len(trial.scores)}"
        best_note = f"; best {best.score:.4f}, trial {best.number}" if best.complete else ""
        sys.stderr.write(f"{self.name}, trial {trial.number}: {score}{ending}{best_note}\n")
        sys.stderr.flush()
