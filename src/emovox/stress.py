"""How well a model bears the real world: its clips disturbed in every way of the catalogue."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from emovox.audio import load_audio
from emovox.corpora.clips import Clip
from emovox.corpora.protocols import Fold
from emovox.errors import EmovoxError, RunError
from emovox.evaluation.stress import (
    NO_SPEECH,
    STRESS_NAME,
    HeardClips,
    StressRow,
    format_stress,
    read_stress,
    score_stress,
)
from emovox.experiment import Watcher, find_fold_folder, load_clips
from emovox.files import write_text
from emovox.model_file import open_model
from emovox.perturbations.definition import SER_TESTS_RATE_HZ, StressTest
from emovox.perturbations.levels import Samples
from emovox.recognizer import Recognizer
from emovox.runs import load_run_protocol, open_finished_run

N_VOICES = 48
"""Recordings that a fold's babble is made of: whatever --clips says, so that draws stay."""


@dataclass(frozen=True, slots=True)
class StressSettings:
    """What to test, and how.

    Attributes:
        tests: The tests to run.
        n_clips: Hear only so many clips, evenly over speakers; ``None``: all.
        jobs: Clips at the same time.
        seed: Of the random draws.
    """

    tests: tuple[StressTest, ...]
    n_clips: int | None = None
    jobs: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("jobs", self.jobs), ("clips", self.n_clips or 1)):
            if value < 1:
                raise EmovoxError(f"{name} is {value}; expected at least 1")


@dataclass(frozen=True, slots=True)
class StressReport:
    """What came of a stress test.

    Attributes:
        name: Of the run or model.
        basis: Which clips were heard and whether the model may know them, in a sentence.
        rows: A row for each test.
        clips: Every test clip there is, for a report with recordings.
    """

    name: str
    basis: str
    rows: tuple[StressRow, ...]
    clips: tuple[Clip, ...] = ()


def stress_run(
    folder: Path, data: Path | None, settings: StressSettings, watcher: Watcher | None = None
) -> StressReport:
    """Let each fold's model hear its own test clips, plain and disturbed.

    Args:
        folder: A finished run folder.
        data: Where the corpora lie; ``None``: the usual places.
        settings: What to test.
        watcher: Hears of the progress.

    Returns:
        The scores of every test.

    Raises:
        RunError: The run is not finished, or tests nothing.
        ModelFileError: A fold's model file is missing or damaged.
        AudioError: A clip cannot be used.

    Example:
        >>> settings = StressSettings(find_tests(["small"]), n_clips=48)  # doctest: +SKIP
        >>> stress_run(Path("runs/vanilla-emobox-6"), None, settings)  # doctest: +SKIP
    """
    watcher = watcher or Watcher()
    run = open_finished_run(folder)
    protocol = load_run_protocol(run, data)
    tested = [(fold.name, clip) for fold in protocol.folds for clip in fold.test]
    if not tested:
        raise RunError(f"{folder}: the run has no test clips; train it under another protocol")
    chosen = set(choose_clips(tested, settings.n_clips))
    heard = []
    for fold in protocol.folds:
        clips = [clip for clip in fold.test if (fold.name, clip) in chosen]
        if not clips:
            continue
        watcher.start_fold(fold, len(protocol.folds))
        model = find_fold_folder(folder, fold, len(protocol.folds)) / "model.onnx"
        voices = choose_voices(fold)
        heard.append(hear_clips(model, clips, fold.labels, voices, settings, watcher))
    joined = join_heard(heard)
    rows = score_stress(joined, settings.tests, of_clips=len(tested), seed=settings.seed)
    return StressReport(
        name=folder.name,
        basis=f"{run.label}; each fold's model hears its own test clips",
        rows=rows,
        clips=tuple(clip for _, clip in tested),
    )


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
    heard = hear_clips(path, picked, info.labels, voices, settings, watcher)
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
    if path.exists():
        found = read_stress(path)
        if found[0].clips > report.rows[0].clips or len(found) > len(report.rows):
            return False
    write_text(path, format_stress(report.rows))
    # Importing matplotlib takes a second: only when there is something to draw.
    from emovox.evaluation.report import write_report

    write_report(folder, {clip.name: clip for clip in report.clips})
    return True


def choose_clips(tested: Sequence[tuple[str, Clip]], n_clips: int | None) -> list[tuple[str, Clip]]:
    """Choose clips evenly over speakers, and by chance, but always the same, within each.

    Args:
        tested: Each fold's name with a clip of it.
        n_clips: How many; ``None``, or more than there are: all.

    Returns:
        The chosen ones.

    Example:
        >>> choose_clips([("01", first), ("01", second)], 1)  # doctest: +SKIP
    """
    if n_clips is None or n_clips >= len(tested):
        return list(tested)
    shuffled = sorted(tested, key=lambda t: hashlib.sha256(f"{t[0]} {t[1].name}".encode()).digest())
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int, tuple[str, Clip]]] = []
    for entry in shuffled:
        seen[entry[1].speaker] = seen.get(entry[1].speaker, 0) + 1
        ranked.append((seen[entry[1].speaker], len(ranked), entry))
    return [entry for _, _, entry in sorted(ranked, key=lambda r: r[:2])[:n_clips]]


def choose_voices(fold: Fold) -> list[Clip]:
    """Choose who talks in the background: the fold's test speakers, whom its model never heard.

    A clip's own speaker is left out when it is mixed. Where the fold tests fewer than three
    speakers, its training speakers talk instead.
    """
    enough = len({clip.speaker for clip in fold.test}) >= 3
    source = fold.test if enough else fold.train
    return [clip for _, clip in choose_clips([("", clip) for clip in source], N_VOICES)]


def hear_clips(
    model: Path,
    clips: Sequence[Clip],
    labels: Sequence[str],
    voices: Sequence[Clip],
    settings: StressSettings,
    watcher: Watcher,
) -> HeardClips:
    """Let a model hear clips, plain and disturbed.

    Everything happens at the model's rate, or at 16 kHz where that is lower, because the
    definitions need it; the plain clips go the same way. As in every score, the most probable
    emotion counts: neither the speech detector nor the model's threshold lets a clip out.

    Args:
        model: The model file.
        clips: What to hear.
        labels: Emotions that may be answered, each clip's own among them.
        voices: Who talks in a babble.
        settings: What to test.
        watcher: Hears of the progress.

    Returns:
        What the model said about each.
    """
    recognizer = Recognizer.load(model, vad=False, min_confidence=0)
    rate_hz = max(recognizer.info.sample_rate_hz, SER_TESTS_RATE_HZ)
    babbling = any("babble" in test.name for test in settings.tests)
    pool = [(v.speaker, load_audio(v.path, rate_hz).samples) for v in voices if babbling]

    def hear(samples: Samples) -> int:
        prediction = recognizer.predict_waveform(samples, rate_hz)
        if prediction.abstained == "no speech":
            return NO_SPEECH
        return int(np.argmax([prediction.scores[label] for label in labels]))

    def hear_clip(clip: Clip) -> list[int]:
        samples = load_audio(clip.path, rate_hz).samples
        others = [voice for speaker, voice in pool if speaker != clip.speaker]
        disturbed = (
            test.perturb(samples, rate_hz, clip.name, seed=settings.seed, voices=others)
            for test in settings.tests
        )
        return [hear(samples), *map(hear, disturbed)]

    watcher.start_clips(f"clips, {len(settings.tests)} tests each", len(clips))
    said = []
    for answers in map_in_order(hear_clip, clips, settings.jobs):
        said.append(answers)
        watcher.end_clip()
    table = np.array(said)  # (clips, 1 + tests)
    return HeardClips(
        speakers=np.array([clip.speaker for clip in clips]),
        true=np.array([labels.index(clip.emotion) for clip in clips]),
        plain=table[:, 0],
        disturbed={test.name: table[:, i] for i, test in enumerate(settings.tests, 1)},
    )


def map_in_order(
    function: Callable[[Clip], list[int]], clips: Iterable[Clip], jobs: int
) -> Iterator[list[int]]:
    """Call a function for each clip, some at the same time, and give the answers in order."""
    if jobs == 1:
        yield from map(function, clips)
        return
    remaining = iter(clips)
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(function, clip) for clip in islice(remaining, 2 * jobs)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting += [pool.submit(function, clip) for clip in islice(remaining, 1)]
        finally:
            # Whoever presses Ctrl-C waits for the running clips only.
            pool.shutdown(wait=False, cancel_futures=True)


def join_heard(parts: Sequence[HeardClips]) -> HeardClips:
    """Join what the models of several folds heard."""
    return HeardClips(
        speakers=np.concatenate([part.speakers for part in parts]),
        true=np.concatenate([part.true for part in parts]),
        plain=np.concatenate([part.plain for part in parts]),
        disturbed={
            name: np.concatenate([part.disturbed[name] for part in parts])
            for name in parts[0].disturbed
        },
    )
