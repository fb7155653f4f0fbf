"""How well a model bears the real world: its clips disturbed in every way of the catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emovox.corpora.clips import Clip
from emovox.corpora.protocols import Fold
from emovox.corpora.read import load_clips
from emovox.errors import EmovoxError, RunError
from emovox.evaluation.stress_scores import HeardClips, StressRow, score_stress
from emovox.evaluation.summary import count
from emovox.files import write_text
from emovox.progress import Watcher
from emovox.recognition.model_file import open_model
from emovox.runs.folder import MODEL_NAME, STRESS_NAME, find_fold_folder, open_seeds
from emovox.runs.protocol import load_run_protocol
from emovox.runs.stress import format_stress, read_stress
from emovox.stress.perturbed_clips import (
    StressSettings,
    choose_clips,
    choose_voices,
    hear_clips,
    join_heard,
)


@dataclass(frozen=True, slots=True)
class StressReport:
    """What came of a stress test.

    Attributes:
        name: Of the run, the recipe or the model.
        basis: Which clips were heard and whether the model may know them, in a sentence.
        rows: A row for each test.
        clips: Every test clip there is, for a report with recordings.
    """

    name: str
    basis: str
    rows: tuple[StressRow, ...]
    clips: tuple[Clip, ...] = ()


@dataclass(frozen=True, slots=True)
class SeedReports:
    """What came of trainings that differ in their seed alone.

    Attributes:
        runs: Each training's own result.
        mean: That of their mean; the only run's where there is one.
    """

    runs: tuple[StressReport, ...]
    mean: StressReport


def stress_runs(
    folders: Sequence[Path],
    data: Path | None,
    settings: StressSettings,
    watcher: Watcher | None = None,
) -> SeedReports:
    """Let each fold's models hear its test clips, plain and disturbed.

    The models of all seeds hear the same disturbed recordings, made once.

    Args:
        folders: Finished run folders of one recipe and protocol, each of another seed.
        data: Where the corpora lie; ``None``: the usual places.
        settings: What to test.
        watcher: Hears of the progress.

    Returns:
        The scores of every test, of each run and of their mean.

    Raises:
        RunError: A run is not finished or tests nothing, or the runs differ in more than the seed.
        ModelFileError: A fold's model file is missing or damaged.
        AudioError: A clip cannot be used.

    Example:
        >>> settings = StressSettings(find_tests(["small"]), n_clips=48)  # doctest: +SKIP
        >>> stress_runs([Path("runs/vanilla-emobox-6")], None, settings).mean  # doctest: +SKIP
    """
    watcher = watcher or Watcher()
    runs = open_seeds(folders)
    protocol = load_run_protocol(runs[0], data)
    tested = [(fold.name, clip) for fold in protocol.folds for clip in fold.test]
    if not tested:
        raise RunError(f"{folders[0]}: the run has no test clips; train it under another protocol")
    chosen = set(choose_clips(tested, settings.n_clips))
    parts: list[list[HeardClips]] = []
    for fold in protocol.folds:
        clips = [clip for clip in fold.test if (fold.name, clip) in chosen]
        if not clips:
            continue
        watcher.start_fold(fold.name, len(protocol.folds))
        models = [find_fold_folder(f, fold, len(protocol.folds)) / MODEL_NAME for f in folders]
        voices = choose_voices(fold)
        labels = fold.labels or protocol.labels
        parts.append(hear_clips(models, clips, labels, voices, settings, watcher))
    seeds = [join_heard(of_seed) for of_seed in zip(*parts, strict=True)]

    def report(name: str, basis: str, heard: Sequence[HeardClips]) -> StressReport:
        rows = score_stress(heard, settings.tests, of_clips=len(tested), seed=settings.seed)
        return StressReport(name, basis, rows, tuple(clip for _, clip in tested))

    basis = f"{runs[0].label}; each fold's model hears its own test clips"
    reports = tuple(report(run.folder.name, basis, [s]) for run, s in zip(runs, seeds, strict=True))
    if len(runs) == 1:
        return SeedReports(reports, reports[0])
    basis = f"{runs[0].label}; mean over {count(len(runs), 'seed')}; each fold's models hear"
    mean = report(runs[0].recipe.name, f"{basis} its own test clips", seeds)
    return SeedReports(reports, mean)


def stress_model(
    path: Path,
    corpus: str,
    data: Path | None,
    settings: StressSettings,
    watcher: Watcher | None = None,
) -> StressReport:
    """Let a model file hear a corpus, plain and disturbed.

    A model file tells how many clips of which corpora it was trained on, not which ones. So clips
    of a corpus that it names may be among them, and the basis says so.

    Args:
        path: A ``model.onnx``.
        corpus: A known corpus, a list or a folder.
        data: Where the corpora lie; ``None``: the usual places.
        settings: What to test.
        watcher: Hears of the progress.

    Returns:
        The scores of every test, over the clips whose emotion the model knows.

    Raises:
        ModelFileError: The file is missing or damaged.
        CorpusError: The corpus is not here.
        AudioError: A clip cannot be used.

    Example:
        >>> settings = StressSettings(find_tests(), n_clips=48)  # doctest: +SKIP
        >>> stress_model(Path("model.onnx"), "nemo", None, settings)  # doctest: +SKIP
    """
    watcher = watcher or Watcher()
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
    voices = choose_voices(Fold("", (), (), tuple(clips)))
    heard = hear_clips([path], picked, info.labels, voices, settings, watcher)
    known = sorted({c.corpus for c in clips} & set(info.training_corpora))
    basis = f"clips of {corpus}, none of which the model was trained on"
    if known:
        basis = (
            f"clips of {corpus}, and the model was trained on {info.training_clips:,} clips of "
            f"{', '.join(info.training_corpora)}: these may be among them, and the figures then "
            "flatter it; a run folder's rest on unheard clips"
        )
    rows = score_stress(heard, settings.tests, of_clips=len(clips), seed=settings.seed)
    return StressReport(name=info.name, basis=basis, rows=rows, clips=tuple(clips))


def keep_result(folder: Path, report: StressReport) -> bool:
    """Write a run's ``stress.csv`` and its report anew, unless what is there rests on more.

    Args:
        folder: The run folder.
        report: Its result.

    Returns:
        Whether it was written: a quick look does not replace a whole test.

    Example:
        >>> keep_result(Path("runs/vanilla-emobox-6"), report)  # doctest: +SKIP
        True
    """
    path = folder / STRESS_NAME
    if rests_on_more(path, report.rows):
        return False
    write_text(path, format_stress(report.rows))
    # Importing matplotlib takes a second: only when there is something to draw.
    from emovox.report.page import write_report

    write_report(folder, {clip.name: clip for clip in report.clips})
    return True


def rests_on_more(path: Path, rows: Sequence[StressRow]) -> bool:
    """Return whether a file holds a result of more clips or tests than these."""
    try:
        found = read_stress(path)
    except RunError:
        # Missing, damaged, or of another version: "run 'emovox stress' again" is what we do.
        return False
    return found[0].clips > rows[0].clips or len(found) > len(rows)
