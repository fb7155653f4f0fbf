"""Progress of a study: a bar per trial, and a line for each finished trial."""

import math
import sys

from emovox.cli.progress import ProgressBars
from emovox.cli.terminal import echo
from emovox.tuning.study import TuneWatcher
from emovox.tuning.trials import Trial


class TuneProgress(ProgressBars, TuneWatcher):
    """Draws a progress bar for the current trial."""

    def start_trial(self, number: int, n_trials: int) -> None:
        """Add the trial to the title."""
        self.title = f"{self.name}, trial {number} ({n_trials} requested)"

    def end_trial(self, trial: Trial, best: Trial) -> None:
        """Print one line on the result of the trial."""
        score = "no score" if math.isnan(trial.score) else f"{trial.score:.4f}"
        ending = "" if trial.complete else f", pruned after {len(trial.scores)}"
        best_note = f"; best {best.score:.4f}, trial {best.number}" if best.complete else ""
        echo(f"{self.name}, trial {trial.number}: {score}{ending}{best_note}", err=True)
        sys.stderr.flush()
