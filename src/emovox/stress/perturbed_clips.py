"""Clips heard plain and disturbed: which ones, who babbles behind them, and what models say."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from emovox.audio.load import load_audio
from emovox.corpora.clips import Clip
from emovox.corpora.protocols import Fold
from emovox.errors import EmovoxError
from emovox.evaluation.stress_scores import NO_SPEECH, HeardClips
from emovox.perturbations.definition import SER_TESTS_RATE_HZ, StressTest
from emovox.perturbations.levels import Samples
from emovox.progress import Watcher
from emovox.recognition.recognizer import Recognizer

N_VOICES = 48
"""Recordings that a fold's babble is made of: whatever --clips says, so that draws stay."""

Answer = TypeVar("Answer")


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
    models: Sequence[Path],
    clips: Sequence[Clip],
    labels: Sequence[str],
    voices: Sequence[Clip],
    settings: StressSettings,
    watcher: Watcher,
) -> list[HeardClips]:
    """Let models hear clips, plain and disturbed.

    Everything happens at the models' rate, or at 16 kHz where that is lower, because the
    definitions need it; the plain clips go the same way. As in every score, the most probable
    emotion counts: neither the speech detector nor the model's threshold lets a clip out. A clip is
    disturbed once for all models, so that they hear the same.

    Args:
        models: Model files of one sampling rate.
        clips: What to hear.
        labels: Emotions that may be answered, each clip's own among them.
        voices: Who talks in a babble.
        settings: What to test.
        watcher: Hears of the progress.

    Returns:
        What each model said about every clip.
    """
    recognizers = [Recognizer.load(model, vad=False, min_confidence=0) for model in models]
    rate_hz = max(recognizers[0].info.sample_rate_hz, SER_TESTS_RATE_HZ)
    babbling = any("babble" in test.name for test in settings.tests)
    pool = [(v.speaker, load_audio(v.path, rate_hz).samples) for v in voices if babbling]

    def hear(samples: Samples, recognizer: Recognizer) -> int:
        scores = recognizer.predict(samples, rate_hz=rate_hz).scores
        return NO_SPEECH if scores is None else int(np.argmax([scores[x] for x in labels]))

    def hear_clip(clip: Clip) -> list[list[int]]:
        samples = load_audio(clip.path, rate_hz).samples
        others = [voice for speaker, voice in pool if speaker != clip.speaker]
        disturbed = (
            test.perturb(samples, rate_hz, clip.name, seed=settings.seed, voices=others)
            for test in settings.tests
        )
        return [[hear(heard, r) for r in recognizers] for heard in chain([samples], disturbed)]

    watcher.start_clips(f"clips, {len(settings.tests)} tests each", len(clips))
    said = []
    for answers in map_in_order(hear_clip, clips, settings.jobs):
        said.append(answers)
        watcher.end_clip()
    table = np.array(said)  # (clips, 1 + tests, models)
    return [
        HeardClips(
            speakers=np.array([clip.speaker for clip in clips]),
            true=np.array([labels.index(clip.emotion) for clip in clips]),
            plain=table[:, 0, model],
            disturbed={test.name: table[:, i, model] for i, test in enumerate(settings.tests, 1)},
        )
        for model in range(len(models))
    ]


def map_in_order(
    function: Callable[[Clip], Answer], clips: Iterable[Clip], jobs: int
) -> Iterator[Answer]:
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
