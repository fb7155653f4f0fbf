"""Predict unperturbed and perturbed clips: choose clips, babble recordings and random draws."""

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
from emovox.corpora.folds import Fold
from emovox.errors import EmovoxError
from emovox.evaluation.stress_scores import NO_SPEECH, PerturbedPredictions
from emovox.perturbations.catalogue import N_JOINED, TESTS
from emovox.perturbations.definition import SER_TESTS_RATE_HZ, StressTest, Voices
from emovox.perturbations.levels import Samples
from emovox.progress import Watcher
from emovox.recognition.recognizer import Recognizer

N_VOICES = 48
"""Number of recordings that a fold's babble is mixed from, independent of ``--clips``."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class StressSettings:
    """Settings of a stress test.

    Attributes:
        tests: Tests to run; see ``emovox.find_tests``.
        n_clips: Number of clips to use, evenly over speakers; ``None`` for all.
        draws: Number of random perturbations of each clip to average over. Tests without
            randomness perturb once.
        jobs: Number of clips to process in parallel.
        seed: Seed of the first random perturbation; each later one adds 1.

    Raises:
        EmovoxError: If ``draws``, ``jobs`` or ``n_clips`` is below 1.

    Examples:
        >>> StressSettings(n_clips=48).draws
        1
    """

    tests: tuple[StressTest, ...] = TESTS
    n_clips: int | None = None
    draws: int = 1
    jobs: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        counts = {"draws": self.draws, "jobs": self.jobs, "clips": self.n_clips}
        for name, value in counts.items():
            if value is not None and value < 1:
                raise EmovoxError(f"{name} is {value}; expected at least 1")


def choose_clips(tested: Sequence[tuple[str, Clip]], n_clips: int | None) -> list[tuple[str, Clip]]:
    """Choose clips evenly over speakers, and by a fixed random order within each speaker.

    Args:
        tested: Pairs of fold name and clip.
        n_clips: Number of clips to choose; ``None`` for all.

    Returns:
        The chosen pairs.
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
    """Choose the recordings of the fold's test speakers that babble is mixed from.

    The fold's model was not trained on them, and a clip is never mixed with its own speaker. With
    fewer than three test speakers, recordings of training speakers are used instead.
    """
    enough = len({clip.speaker for clip in fold.test}) >= 3
    source = fold.test if enough else fold.train
    return [clip for _, clip in choose_clips([("", clip) for clip in source], N_VOICES)]


def choose_siblings(clip: Clip, clips: Sequence[Clip]) -> list[Clip]:
    """Choose the recordings to join a clip with: the next ones of its speaker and emotion."""
    alike = [c for c in clips if (c.speaker, c.emotion) == (clip.speaker, clip.emotion)]
    at = alike.index(clip)
    return [*alike[at + 1 :], *alike[:at]][:N_JOINED]


def predict_perturbed(
    models: Sequence[Path],
    clips: Sequence[Clip],
    labels: Sequence[str],
    fold: Fold,
    settings: StressSettings,
    watcher: Watcher,
) -> list[PerturbedPredictions]:
    """Predict unperturbed and perturbed clips with several models.

    Clips are perturbed at the models' rate, but at no less than 16 kHz, which the perturbations
    require; unperturbed clips are resampled the same way. The most probable emotion counts, as in
    every score, without abstention. Each perturbed clip is shared by all models.

    Args:
        models: Model files of one sampling rate.
        clips: Clips to predict.
        labels: Emotions that may be predicted, including those of the clips.
        fold: The fold of the clips, whose recordings are mixed into babble or joined.
        settings: Tests and draws.
        watcher: Receives progress updates.

    Returns:
        The predictions of each model for every clip.
    """
    recognizers = [Recognizer.load(model, vad=False, min_confidence=0) for model in models]
    rate_hz = max(recognizers[0].info.sample_rate_hz, SER_TESTS_RATE_HZ)
    needed = {test.voices for test in settings.tests}
    babbling = choose_voices(fold) if Voices.OTHERS in needed else []
    pool = [(v.speaker, load_audio(v.path, rate_hz).samples) for v in babbling]
    draws = [
        (test, settings.seed + i)
        for test in settings.tests
        for i in range(settings.draws if test.is_random else 1)
    ]

    def predict(samples: Samples, recognizer: Recognizer) -> int:
        scores = recognizer.predict(samples, rate_hz=rate_hz).scores
        return NO_SPEECH if scores is None else int(np.argmax([scores[x] for x in labels]))

    def predict_clip(clip: Clip) -> list[list[int]]:
        samples = load_audio(clip.path, rate_hz).samples
        joined = choose_siblings(clip, fold.test) if Voices.SAME in needed else []
        voices = {
            Voices.NONE: [],
            Voices.OTHERS: [voice for speaker, voice in pool if speaker != clip.speaker],
            Voices.SAME: [load_audio(c.path, rate_hz).samples for c in joined],
        }
        perturbed = (
            test.perturb(samples, rate_hz, clip.name, seed=seed, voices=voices[test.voices])
            for test, seed in draws
        )
        return [[predict(x, r) for r in recognizers] for x in chain([samples], perturbed)]

    watcher.start_clips(f"clips, {len(draws)} perturbations each", len(clips))
    predicted = []
    for of_clip in map_in_order(predict_clip, clips, settings.jobs):
        predicted.append(of_clip)
        watcher.end_clip()
    plain, *perturbed = np.array(predicted).transpose(1, 2, 0)  # 1 + draws of (models, clips)
    return [
        PerturbedPredictions(
            speakers=np.array([clip.speaker for clip in clips]),
            true=np.array([labels.index(clip.emotion) for clip in clips]),
            plain=plain[model],
            perturbed={
                test.name: np.stack(
                    [p[model] for p, (of, _) in zip(perturbed, draws, strict=True) if of is test]
                )
                for test in settings.tests
            },
        )
        for model in range(len(models))
    ]


def map_in_order(
    function: Callable[[Clip], Value], clips: Iterable[Clip], jobs: int
) -> Iterator[Value]:
    """Call a function for each clip in parallel, and yield the results in order."""
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
            # Ctrl-C waits only for the clips in progress.
            pool.shutdown(wait=False, cancel_futures=True)


def join_predictions(parts: Sequence[PerturbedPredictions]) -> PerturbedPredictions:
    """Concatenate the predictions of several folds."""
    return PerturbedPredictions(
        speakers=np.concatenate([part.speakers for part in parts]),
        true=np.concatenate([part.true for part in parts]),
        plain=np.concatenate([part.plain for part in parts]),
        perturbed={
            name: np.concatenate([part.perturbed[name] for part in parts], axis=1)
            for name in parts[0].perturbed
        },
    )
