"""Voice-activity detection: decides whether a recording contains speech.

    waveform -> 16 kHz, without what lies below 64 Hz, at a fixed level
             -> Silero VAD, one second at a time -> speech or no speech
             -> if no speech is detected: again at two thirds of the speed, for screams

Silero VAD 6.2 (MIT licence, https://github.com/snakers4/silero-vad) is bundled with the package as
an ONNX file, and uses the same runtime as the emotion model.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.audio.limits import SILENCE_PEAK
from emovox.audio.waveform import Waveform, resample, resample_blocks
from emovox.recognition.session import open_session, run_session

RATE_HZ = 16_000
FRAME_SAMPLES = 512
"""32 ms: Silero VAD outputs one probability per frame."""

SPEECH_PROBABILITY = 0.7
"""Frames at or above this probability count as speech. It is the highest multiple of 0.1 that
detects speech in at least 99.5% of the RAVDESS clips of actors 1-12; docs/confidence.md reports how
it performs on other speakers."""

MIN_SPEECH_FRAMES = 8
"""A quarter of a second, Silero's default minimum speech duration."""

MIN_SPEECH_SHARE = 1 / 3
"""Share of frames required in recordings too short for that; at least three frames."""

SLOWING = 1.5
"""Silero VAD misses most screams; slowed to two thirds, they have the pitch of loud speech."""

CONTEXT_SAMPLES = 64
"""What Silero VAD is given of the frame before."""

LEVEL_RMS = 0.1
"""-20 dBFS: what recordings are set to."""

_BLOCK_FRAMES = 32
_LOWS_RATE_HZ = 140
"""A recording at this rate has nothing above 70 Hz, and what lies below 64 Hz."""

_EDGE_SAMPLES = RATE_HZ // 100
_REACH_SAMPLES = RATE_HZ // 2
CHUNK_SAMPLES = 10 * _BLOCK_FRAMES * FRAME_SAMPLES
"""What a recording that arrives in blocks is levelled by: 10 s."""


class DetectorState:
    """What Silero VAD keeps from one block of frames to the next; zero at first."""

    def __init__(self) -> None:
        self.hidden = self.cell = np.zeros((1, 1, 128), np.float32)
        self.context = np.zeros(CONTEXT_SAMPLES, np.float32)


class SpeechDetector:
    """Distinguishes speech from silence, noise, tones and music.

    It keeps no state between recordings, and threads can share it.

    Args:
        threads: CPU threads per recording.

    Examples:
        >>> from emovox.audio.load import load_audio
        >>> SpeechDetector().has_speech(load_audio("clip.opus", 16_000))
        True
    """

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads
        self._session = open_session(find_speech_model().read_bytes(), threads=threads)

    def __reduce__(self) -> tuple[Any, ...]:
        # A session cannot be pickled or copied; the copy opens its own.
        return partial(SpeechDetector, threads=self.threads), ()

    def has_speech(self, waveform: Waveform) -> bool:
        """Return whether a recording contains speech: spoken, shouted, whispered or sung.

        Processing stops as soon as enough speech is found. The level of the recording does not
        matter, unless it is digital silence.

        Args:
            waveform: Recording at any sampling rate.

        Returns:
            Whether at least ``MIN_SPEECH_FRAMES`` frames contain speech, at the original speed
            or slowed down.
        """
        samples = prepare(waveform)
        n_frames = -(-len(samples) // FRAME_SAMPLES)
        needed = min(MIN_SPEECH_FRAMES, max(3, round(MIN_SPEECH_SHARE * n_frames)))
        return self._count_to(needed, samples) or self._count_to(
            needed, resample(samples, RATE_HZ, round(SLOWING * RATE_HZ))
        )

    def find_probabilities(self, waveform: Waveform) -> npt.NDArray[np.float32]:
        """Return the speech probability of each frame, at the original speed.

        Args:
            waveform: Recording at any sampling rate.

        Returns:
            float32 ``(frames,)`` in [0, 1]: one per 32 ms frame, the last one padded.
        """
        samples = prepare(waveform)
        return np.concatenate(list(self._listen(samples)))

    def iterate_probabilities(
        self, blocks: Iterable[npt.NDArray[np.float32]], rate_hz: int
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the speech probabilities of a recording that arrives in blocks.

        Memory does not grow with the duration. Each 10 s are set to a level of their own, or to
        that of the 10 s before if those are louder. What has no speech is processed again, slowed
        down, as in ``has_speech``.

        Args:
            blocks: float32 ``(samples,)`` each.
            rate_hz: Sampling rate in Hz.

        Yields:
            float32 ``(frames,)`` in [0, 1]: one per 32 ms frame, the last one padded.
        """
        memory, level_before = DetectorState(), 0.0
        for samples in remove_lows_of_chunks(resample_blocks(blocks, rate_hz, RATE_HZ)):
            n_frames = -(-len(samples) // FRAME_SAMPLES)
            if np.ptp(samples) / 2 < SILENCE_PEAK:
                memory, level_before = DetectorState(), 0.0
                yield np.zeros(n_frames, np.float32)
                continue
            level = measure_level(samples)
            samples *= np.float32(LEVEL_RMS / max(level, level_before))
            level_before = level
            found = np.concatenate(list(self._listen(samples, memory)))
            if found.max() < SPEECH_PROBABILITY:
                slowed = resample(samples, RATE_HZ, round(SLOWING * RATE_HZ))
                slow = np.concatenate(list(self._listen(slowed)))
                at = ((np.arange(n_frames) + 0.5) * SLOWING).astype(int)
                found = np.maximum(found, slow[at.clip(max=len(slow) - 1)])
            yield found

    def rate_frame(self, samples: npt.NDArray[np.float32], state: DetectorState) -> float:
        """Return the speech probability of one frame, and keep what the next one needs.

        Args:
            samples: float32 ``(FRAME_SAMPLES,)`` at 16 kHz and a level of ``LEVEL_RMS``.
            state: State after the frame before; it is changed.
        """
        (probabilities,) = self._listen(samples, state)
        return float(probabilities[0])

    def _count_to(self, needed: int, samples: npt.NDArray[np.float32]) -> bool:
        """Return whether ``needed`` frames contain speech, stopping as soon as they do."""
        found = 0
        for probabilities in self._listen(samples):
            found += int(np.count_nonzero(probabilities >= SPEECH_PROBABILITY))
            if found >= needed:
                return True
        return False

    def _listen(
        self, samples: npt.NDArray[np.float32], memory: DetectorState | None = None
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield speech probabilities, one block of frames at a time; continue after a memory."""
        memory = memory or DetectorState()
        n_frames = -(-len(samples) // FRAME_SAMPLES)
        end = np.zeros(n_frames * FRAME_SAMPLES - len(samples), np.float32)
        padded = np.concatenate([memory.context, samples, end])
        # Each frame is preceded by the last 4 ms before it.
        windows = np.lib.stride_tricks.sliding_window_view(
            padded, CONTEXT_SAMPLES + FRAME_SAMPLES
        )[::FRAME_SAMPLES]  # (frames, 576)
        for start in range(0, n_frames, _BLOCK_FRAMES):
            probabilities, memory.hidden, memory.cell = run_session(
                self._session,
                None,
                {
                    "input": windows[start : start + _BLOCK_FRAMES],
                    "h": memory.hidden,
                    "c": memory.cell,
                },
                name="silero_vad.onnx",
                duration_s=_BLOCK_FRAMES * FRAME_SAMPLES / RATE_HZ,
            )
            yield np.asarray(probabilities, dtype=np.float32)
        memory.context = padded[-CONTEXT_SAMPLES:]


def cut_blocks(
    blocks: Iterable[npt.NDArray[np.float32]], n_samples: int
) -> Iterator[npt.NDArray[np.float32]]:
    """Cut blocks of any length into blocks of one length, and a last one that may be shorter.

    Args:
        blocks: float32 ``(samples,)`` each.
        n_samples: Samples of each block.

    Examples:
        >>> [len(part) for part in cut_blocks([np.zeros(5, "f4"), np.zeros(2, "f4")], 3)]
        [3, 3, 1]
    """
    held = np.empty(0, np.float32)
    for block in blocks:
        for start in range(0, len(block), n_samples):
            held = np.concatenate([held, block[start : start + n_samples]])
            if len(held) >= n_samples:
                yield held[:n_samples]
                held = held[n_samples:]
    if len(held):
        yield held


def remove_lows_of_chunks(
    blocks: Iterable[npt.NDArray[np.float32]],
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield 10 s of a recording at a time, as ``remove_lows`` on all of it would return them.

    Each is processed together with half a second before and after it; the rest has no influence.
    """
    before = np.empty(0, np.float32)
    waiting: npt.NDArray[np.float32] | None = None
    for chunk in cut_blocks(blocks, CHUNK_SAMPLES):
        if waiting is not None:
            around = np.concatenate([before, waiting, chunk[:_REACH_SAMPLES]])
            yield remove_lows(around)[len(before) : len(before) + len(waiting)]
            before = waiting[-_REACH_SAMPLES:]
        waiting = chunk
    if waiting is not None:
        yield remove_lows(np.concatenate([before, waiting]))[len(before) :]


def prepare(waveform: Waveform) -> npt.NDArray[np.float32]:
    """Resample a recording, remove offset and rumble, and set its level, float32 ``(samples,)``."""
    return set_level(remove_lows(resample(waveform.samples, waveform.rate_hz, RATE_HZ)))


def remove_lows(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Remove what lies below 64 Hz, whose level would count as the recording's.

    Args:
        samples: float32 ``(samples,)`` at 16 kHz.

    Returns:
        float32 ``(samples,)``, not delayed.

    Examples:
        >>> float(abs(remove_lows(np.full(16_000, 0.5, np.float32))).max().round(3))
        0.0
    """
    # Beyond its ends, a recording goes on at the mean of its first and last 10 ms.
    ends = samples[:_EDGE_SAMPLES].mean(), samples[-_EDGE_SAMPLES:].mean()
    padded = np.pad(samples, _REACH_SAMPLES, constant_values=ends)
    lows = resample(resample(padded, RATE_HZ, _LOWS_RATE_HZ), _LOWS_RATE_HZ, RATE_HZ)
    return samples - lows[_REACH_SAMPLES : _REACH_SAMPLES + len(samples)]


def set_level(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale samples to an RMS of 0.1 (-20 dBFS), to make detection independent of level.

    Args:
        samples: float32 ``(samples,)``.

    Returns:
        float32 ``(samples,)``; digital silence is returned unchanged.

    Examples:
        >>> set_level(np.array([0.5, -0.5], np.float32))
        array([ 0.1, -0.1], dtype=float32)
    """
    rms = measure_level(samples)
    return (samples * (LEVEL_RMS / rms)).astype(np.float32) if rms > 0 else samples


def measure_level(samples: npt.NDArray[np.float32]) -> float:
    """Return the RMS of samples ``(samples,)``."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def find_speech_model() -> Path:
    """Return the path of the bundled Silero VAD model."""
    return Path(str(resources.files("emovox") / "assets" / "silero_vad.onnx"))
