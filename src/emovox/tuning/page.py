"""``tune.html``: a study as one HTML page that opens offline."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from emovox.files import write_text
from emovox.pages.environment import make_page_environment
from emovox.tuning.plots import plot_history, plot_importance, plot_setting
from emovox.tuning.trials import Trial, Tuning


def write_page(path: Path, tuning: Tuning) -> None:
    """Write a study's page atomically.

    Args:
        path: Path of the HTML file.
        tuning: The study to show.
    """
    environment = make_page_environment("emovox.tuning")
    environment.filters["shown"] = format_value
    environment.filters["score"] = lambda score: (
        "" if math.isnan(score) else tuning.metric.show(score)
    )
    keys = list(tuning.recipe.tune.space)
    winner = tuning.make_winner()
    page = environment.get_template("tune.html.j2").render(
        tuning=tuning,
        keys=keys,
        short=shorten_keys(keys),
        lines=describe_winner(tuning),
        # matplotlib escapes the names in its figures.
        history=Markup(plot_history(tuning)),  # noqa: S704
        importance=Markup(plot_importance(tuning.importance)),  # noqa: S704
        settings=[(key, Markup(plot_setting(tuning, key))) for key in keys],  # noqa: S704
        recipe_toml="" if winner is None else winner.to_toml().strip(),
    )
    write_text(path, page)


def describe_winner(tuning: Tuning) -> tuple[str, ...]:
    """Describe the result of the search, and how much it can be relied on."""
    winner, start = tuning.winner, tuning.start
    n_pruned = sum(not trial.complete for trial in tuning.trials)
    lines = [f"{len(tuning.trials)} trials, {n_pruned} of them pruned."]
    if winner is None:
        return (*lines, "No trial is complete: there is no winner.")
    show, label = tuning.metric.show, tuning.metric.label
    lines.append(f"Trial {winner.number} is best: {label} {show(winner.score)}.")
    if start is not None and start is not winner:
        better = sum(
            (a > b) if tuning.metric.rises else (a < b)
            for a, b in zip(winner.scores, start.scores, strict=True)
        )
        lines.append(
            f"The unchanged recipe: {show(start.score)}; the winner is better in {better} of "
            f"{len(start.scores)} trainings."
        )
    elif start is not None:
        lines.append("That is the unchanged recipe: nothing better was found.")
    lines.append(
        f"The winner's score is the best of {len(tuning.trials)} on the same clips, so it is "
        "optimistic; only test clips show how the winner does on unseen speakers."
    )
    return tuple(lines)


def shorten_keys(keys: Sequence[str]) -> list[str]:
    """Return the last part of each key, or the whole key if two would be equal."""
    last = [key.rpartition(".")[2] for key in keys]
    return [name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)]


def format_settings(tuning: Tuning, trial: Trial) -> list[str]:
    """Return a trial's settings as formatted values for the table of trials."""
    keys = list(tuning.recipe.tune.space)
    return [
        f"{format_value(trial.settings.get(key, '')):>{len(name)}}"
        for key, name in zip(keys, shorten_keys(keys), strict=True)
    ]


def format_value(value: Any) -> str:
    """Format a setting's value for display."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
