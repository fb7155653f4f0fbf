"""Whether anybody speaks: a voice-activity detector, before emotion is asked for.

    waveform -> 16 kHz, one level -> Silero VAD, a second at a time -> speech or no speech
             -> at two thirds of the speed, for screams, where the first look finds nobody

Silero VAD 6.2 (MIT licence, https://github.com/snakers4/silero-vad) comes with the package as its
own ONNX file, and runs through the runtime that the emotion model needs anyway.
"""

from collections.abc import Iterator
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.audio.load import Waveform, resample
from emovox.recognition.session import open_session

RATE_HZ = 16_000
FRAME_SAMPLES = 512
"""32 ms: what Silero VAD gives one probability for."""

SPEECH_PROBABILITY = 0.7
"""From here on a frame holds speech: the highest tenth at which at least 99.5% of the RAVDESS clips
of actors 1-12 count as speech; see docs/confidence.md for what it gives on other voices."""

MIN_SPEECH_FRAMES = 8
"""A quarter of a second, Silero's own least stretch of speech."""

MIN_SPEECH_SHARE = 1 / 3
"""In a recording too short for that: so much of it, but no less than three frames."""

SLOWING = 1.5
"""Silero VAD knows few screams. At two thirds of their speed they have the pitch of loud speech."""

_CONTEXT_SAMPLES = 64
_LEVEL_RMS = 0.1
_BLOCK_FRAMES = 32


class SpeechDetector:
    """Tells speech from silence, noise, tones and music.

    It holds no state between recordings, and threads may share it.

    Args:
        threads: CPU threads for one recording.

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
        """Return whether anybody speaks, shouts, whispers or sings in a recording.

        It stops listening as soon as it has heard enough. How loud the recording is makes no
        difference, as long as it is not digital silence.

        Args:
            waveform: At any rate.

        Returns:
            Whether at least ``MIN_SPEECH_FRAMES`` frames are speech, at the recording's own
            speed or slowed down.
        """
        samples = set_level(resample(waveform.samples, waveform.rate_hz, RATE_HZ))
        n_frames = -(-len(samples) // FRAME_SAMPLES)
        needed = min(MIN_SPEECH_FRAMES, max(3, round(MIN_SPEECH_SHARE * n_frames)))
        return self._count_to(needed, samples) or self._count_to(
            needed, resample(samples, RATE_HZ, round(SLOWING * RATE_HZ))
        )

    def find_probabilities(self, waveform: Waveform) -> npt.NDArray[np.float32]:
        """Return how probably each frame holds speech, at the recording's own speed.

        Args:
            waveform: At any rate.

        Returns:
            float32 ``(frames,)`` in [0, 1]: one for each 32 ms begun.
        """
        samples = set_level(resample(waveform.samples, waveform.rate_hz, RATE_HZ))
        return np.concatenate(list(self._listen(samples)))

    def _count_to(self, needed: int, samples: npt.NDArray[np.float32]) -> bool:
        """Return whether so many frames hold speech, hearing no more than it takes."""
        found = 0
        for probabilities in self._listen(samples):
            found += int(np.count_nonzero(probabilities >= SPEECH_PROBABILITY))
            if found >= needed:
                return True
        return False

    def _listen(self, samples: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the probabilities of one block of frames after the other."""
        n_frames = -(-len(samples) // FRAME_SAMPLES)
        padded = np.pad(samples, (_CONTEXT_SAMPLES, n_frames * FRAME_SAMPLES - len(samples)))
        # Each frame is seen with the last 4 ms before it.
        windows = np.lib.stride_tricks.sliding_window_view(
            padded, _CONTEXT_SAMPLES + FRAME_SAMPLES
        )[::FRAME_SAMPLES]  # (frames, 576)
        hidden = cell = np.zeros((1, 1, 128), np.float32)
        for start in range(0, n_frames, _BLOCK_FRAMES):
            inputs = {"input": windows[start : start + _BLOCK_FRAMES], "h": hidden, "c": cell}
            probabilities, hidden, cell = self._session.run(None, inputs)
            yield np.asarray(probabilities, dtype=np.float32)


def set_level(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Bring samples to an RMS of 0.1 (-20 dBFS), so that a detector hears no gain.

    Args:
        samples: float32 ``(samples,)``, not all zero.

    Returns:
        float32 ``(samples,)``; zeros stay zeros.

    Examples:
        >>> set_level(np.array([0.5, -0.5], np.float32))
        array([ 0.1, -0.1], dtype=float32)
    """
    rms = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
    return (samples * (_LEVEL_RMS / rms)).astype(np.float32) if rms > 0 else samples


def find_speech_model() -> Path:
    """Return the path of the detector that comes with the package."""
    return Path(str(resources.files("emovox") / "assets" / "silero_vad.onnx"))
