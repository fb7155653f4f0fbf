"""Stress tests of runs and model files with every perturbation of the catalogue."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Fold
from emovox.corpora.loco import LOCO
from emovox.corpora.read import load_clips
from emovox.errors import EmovoxError, RunError
from emovox.evaluation.stress_scores import PerturbedPredictions, Result, StressRow, score_stress
from emovox.files import write_text
from emovox.perturbations.definition import GROUPS
from emovox.progress import Watcher
from emovox.recognition.model_file import open_model
from emovox.recognition.named_models import find_model
from emovox.runs.folder import MODEL_NAME, STRESS_NAME, find_fold_folder, open_seeds
from emovox.runs.protocol import load_run_protocol
from emovox.runs.stress import format_stress, read_stress
from emovox.stress.perturbed_clips import (
    StressSettings,
    choose_clips,
    join_predictions,
    predict_perturbed,
)
from emovox.wording import count


@dataclass(frozen=True, slots=True)
class StressReport:
    """Result of a stress test.

    Attributes:
        name: Name of the run, the recipe or the model.
        basis: Sentence that names the clips used, and whether the model was trained on them.
        rows: One row per test.
        clips: All test clips, for a report with recordings.
        shares_generators: Whether the model was trained on augmented copies from the generators
            of these tests.
    """

    name: str
    basis: str
    rows: tuple[StressRow, ...]
    clips: tuple[Clip, ...]
    shares_generators: bool

    def describe(self) -> list[str]:
        """Return printable lines: the basis, a table of at most 100 columns, and a summary."""
        first = self.rows[0]
        sampled = ", evenly over speakers" if first.clips < first.of_clips else ""
        draws = max(row.draws for row in self.rows)
        lines = [
            f"{self.name}: {self.basis}",
            f"{first.clips:,} of {first.of_clips:,} clips{sampled}, {first.speakers} speakers, "
            f"{count(first.trainings, 'seed')}, {count(draws, 'draw')} of each random "
            f"perturbation; plain UAR {100 * first.plain_uar:.1f}; 95% "
            f"{first.interval_name}",
            "",
            f"{'':<20} {'unchanged':<20}  {'UAR change, points':<22}  {'threshold':<18}  result",
        ]
        for group, rows in groupby(self.rows, key=lambda row: row.group):
            lines += [GROUPS[group], *(format_row(row) for row in rows)]
        results = [row.result for row in self.rows]
        passed, unsure = (results.count(result) for result in (Result.PASS, Result.UNSURE))
        n_judged = passed + unsure + results.count(Result.FAIL)
        if n_judged:
            text = f"{passed + unsure} of {n_judged} tests passed"
            if unsure:
                text += f", {unsure} of them with the threshold within the interval (pass?)"
            lines += ["", text]
        if self.shares_generators:
            lines += [
                "The model was trained on augmented copies from the generators of these tests "
                "(noise, babble,",
                "environment, rooms, clipping, codecs, telephone, hum, rumble, clicks, speed): "
                "others may harm it more.",
            ]
        lines.append("Public models' figures: --format csv or json, or docs/stress.md.")
        return lines


@dataclass(frozen=True, slots=True)
class SeedReports:
    """Results of trainings that differ only in seed.

    Attributes:
        runs: Result of each training.
        mean: Mean of all results, or the result of the only run.
        left: ``stress.csv`` files that were not replaced because they rest on more clips, tests
            or draws.
    """

    runs: tuple[StressReport, ...]
    mean: StressReport
    left: tuple[Path, ...] = ()


def stress_runs(
    folders: Sequence[Path],
    data: Path | None = None,
    settings: StressSettings | None = None,
    watcher: Watcher | None = None,
) -> SeedReports:
    """Test the models of one or more runs on their unperturbed and perturbed test clips.

    The models of all seeds are tested on the same perturbed recordings. Each run's result is
    written to its folder as ``stress.csv``, and its report is rebuilt, unless an existing file
    rests on more clips, tests or draws.

    Args:
        folders: Finished run folders of one recipe and protocol that differ only in seed.
        data: Folder of the corpora; ``None`` searches the usual places.
        settings: Tests and draws; ``None`` for the defaults of ``StressSettings``.
        watcher: Receives progress updates.

    Returns:
        The scores of each run and of their mean.

    Raises:
        RunError: A run is not finished or has no test clips, or the runs differ in more than the
            seed.
        ModelFileError: A fold's model file is missing or damaged.
        AudioError: A clip cannot be used.
    """
    settings, watcher = settings or StressSettings(), watcher or Watcher()
    for folder in folders:
        if folder.is_file():
            raise RunError(
                f"{folder} is a file; expected run folders: to test a model file, name the clips "
                "to test it on, e.g. --corpus nemo"
            )
    runs = open_seeds(folders)
    if runs[0].scores.protocol.name == LOCO:
        raise RunError(
            f"{folders[0]}: the folds of {LOCO} are scored over different labels; test one of its "
            "model files instead, on the corpus left out: emovox stress MODEL --corpus NAME"
        )
    protocol = load_run_protocol(runs[0], data)
    tested = [(fold.name, clip) for fold in protocol.folds for clip in fold.test]
    if not tested:
        raise RunError(f"{folders[0]}: the run has no test clips; train it under another protocol")
    chosen = set(choose_clips(tested, settings.n_clips))
    parts: list[list[PerturbedPredictions]] = []
    for fold in protocol.folds:
        clips = [clip for clip in fold.test if (fold.name, clip) in chosen]
        if not clips:
            continue
        watcher.start_fold(fold.name, len(protocol.folds))
        models = [find_fold_folder(f, fold, len(protocol.folds)) / MODEL_NAME for f in folders]
        labels = fold.labels or protocol.labels
        parts.append(predict_perturbed(models, clips, labels, fold, settings, watcher))
    seeds = [join_predictions(of_seed) for of_seed in zip(*parts, strict=True)]

    def report(name: str, basis: str, predictions: Sequence[PerturbedPredictions]) -> StressReport:
        return StressReport(
            name,
            basis,
            score_stress(predictions, settings.tests, of_clips=len(tested), seed=settings.seed),
            clips=tuple(clip for _, clip in tested),
            shares_generators=runs[0].recipe.augmentation.copies > 0,
        )

    basis = f"{runs[0].label}; each fold's model is tested on its own test clips"
    reports = tuple(report(run.folder.name, basis, [s]) for run, s in zip(runs, seeds, strict=True))
    mean = reports[0]
    if len(runs) > 1:
        basis = f"{runs[0].label}; mean over {count(len(runs), 'seed')}; each fold's models are"
        mean = report(runs[0].recipe.name, f"{basis} tested on its own test clips", seeds)
    kept = [keep_result(folder, own) for folder, own in zip(folders, reports, strict=True)]
    left = [f / STRESS_NAME for f, is_kept in zip(folders, kept, strict=True) if not is_kept]
    return SeedReports(reports, mean, tuple(left))


def stress_model(
    path: Path,
    corpus: str,
    data: Path | None = None,
    settings: StressSettings | None = None,
    watcher: Watcher | None = None,
) -> StressReport:
    """Test a model file on the unperturbed and perturbed clips of a corpus.

    A model file names its training corpora, but not its training clips. If ``corpus`` is one of
    them, the tested clips may be among the training clips, and the report's basis notes this.

    Args:
        path: Path of a ``model.onnx``, or the name of a model, such as ``default``.
        corpus: A known corpus, a list or a folder.
        data: Folder of the corpora; ``None`` searches the usual places.
        settings: Tests and draws; ``None`` for the defaults of ``StressSettings``.
        watcher: Receives progress updates.

    Returns:
        The scores of every test, over the clips with one of the model's emotions.

    Raises:
        ModelFileError: The file is missing or damaged.
        CorpusError: The corpus was not found.
        AudioError: A clip cannot be used.
        EmovoxError: ``path`` is a folder, or no clip has one of the model's emotions.
    """
    settings, watcher = settings or StressSettings(), watcher or Watcher()
    if path.is_dir():
        raise EmovoxError(
            f"{path} is a folder; expected a model file: a run is tested on its own test clips, "
            "without --corpus"
        )
    path = find_model(path)
    info = open_model(path).info
    clips = [c for c in load_clips(data, [corpus]) if c.emotion in info.labels]
    if not clips:
        raise EmovoxError(
            f"{corpus}: no clip with one of the emotions of {path} ({', '.join(info.labels)}); "
            "expected some: name another corpus"
        )
    tested = [("", clip) for clip in clips]
    chosen = set(choose_clips(tested, settings.n_clips))
    picked = [clip for clip in clips if ("", clip) in chosen]
    fold = Fold("", (), (), tuple(clips))
    predictions = predict_perturbed([path], picked, info.labels, fold, settings, watcher)
    basis = f"clips of {corpus}, none of which the model was trained on"
    if {c.corpus for c in clips} & set(info.training_corpora):
        basis = (
            f"clips of {corpus}, and the model was trained on {info.training_clips:,} clips of "
            f"{', '.join(info.training_corpora)}: these may be among them, so the figures may be "
            "too good; test a run folder for figures on unseen clips"
        )
    rows = score_stress(predictions, settings.tests, of_clips=len(clips), seed=settings.seed)
    return StressReport(info.name, basis, rows, tuple(clips), trains_on_copies(info.recipe))


def trains_on_copies(recipe_toml: str) -> bool:
    """Return whether a model file's recipe makes augmented copies of its training clips."""
    try:
        return bool(tomllib.loads(recipe_toml).get("augmentation", {}).get("copies", 0))
    except tomllib.TOMLDecodeError:
        # Model files of other programs may describe their training differently.
        return False


def keep_result(folder: Path, report: StressReport) -> bool:
    """Write a run's ``stress.csv`` and report, unless an existing file rests on more clips."""
    path = folder / STRESS_NAME
    if rests_on_more(path, report.rows):
        return False
    write_text(path, format_stress(report.rows))
    # Importing matplotlib takes a second, so import it only when needed.
    from emovox.report.page import write_report

    write_report(folder, {clip.name: clip for clip in report.clips})
    return True


def rests_on_more(path: Path, rows: Sequence[StressRow]) -> bool:
    """Return whether a file holds results of more clips, tests or draws than these."""
    try:
        found = read_stress(path)
    except RunError:
        # A missing, damaged or outdated file is replaced.
        return False
    draws = [max(row.draws for row in table) for table in (found, rows)]
    return found[0].clips > rows[0].clips or len(found) > len(rows) or draws[0] > draws[1]


def format_row(row: StressRow) -> str:
    """Return a test's line in the table."""
    unchanged = f"{row.unchanged:.3f} ({row.unchanged_low:.2f} to {row.unchanged_high:.2f})"
    change = (
        f"{100 * row.uar_change:+.1f} ({100 * row.uar_change_low:+.1f} to "
        f"{100 * row.uar_change_high:+.1f})"
    )
    thresholds = []
    if row.min_unchanged is not None:
        thresholds.append(f">= {row.min_unchanged:.2f}")
    if row.max_uar_loss is not None:
        thresholds.append(f"loss <= {100 * row.max_uar_loss:.0f}")
    return (
        f"  {row.test:<18} {unchanged:<20}  {change:<22}  {', '.join(thresholds):<18}  {row.result}"
    ).rstrip()
