"""Which stretches of time and frequency drove a decision: what happens when each is taken out.

Occlusion after Zeiler and Fergus (2014, Visualizing and Understanding Convolutional Networks, ECCV,
section 4.2), for sound: it asks the model file alone, so it explains any network.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from emovox.audio.load import Waveform, load_audio
from emovox.audio.sources import name_source
from emovox.errors import AudioError, EmovoxError
from emovox.evaluation.metrics import FloatArray
from emovox.explain.occlusion import make_band_edges, make_time_windows, split_signal
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.windows import MAX_WINDOW_S

N_TIMES = 16
N_BANDS = 8
MAX_CELLS = 10_000
MIN_DROP = 0.01
"""Less than one point of probability is no news."""


@dataclass(frozen=True, slots=True)
class Region:
    """One cell of the map.

    Attributes:
        start_s: Where it begins, in seconds.
        end_s: Where it ends.
        low_hz: Its lowest frequency.
        high_hz: Its highest frequency.
        drop: By how much the emotion's probability falls without it; negative where it rises.
    """

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    drop: float

    def __str__(self) -> str:
        points = round(100 * self.drop)
        return (
            f"{self.start_s:.2f}-{self.end_s:.2f} s, {self.low_hz:,.0f}-{self.high_hz:,.0f} Hz: "
            f"{points:+d} {'point' if abs(points) == 1 else 'points'}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """How much each region of a recording speaks for an emotion.

    A drop is the emotion's probability for the whole recording minus that without the region: above
    0 the region speaks for the emotion, below 0 against it.

    Attributes:
        emotion: What is explained.
        probability: Its probability for the whole recording, in [0, 1].
        drops: Without one cell, float64 ``(bands, times)``, the lowest band first.
        time_drops: Without all that sounds in a stretch of time, float64 ``(times,)``.
        band_drops: Without all that sounds in a band, float64 ``(bands,)``.
        time_edges_s: float64 ``(times + 1,)``, in seconds.
        band_edges_hz: float64 ``(bands + 1,)``, in Hz.
    """

    emotion: str
    probability: float
    drops: FloatArray
    time_drops: FloatArray
    band_drops: FloatArray
    time_edges_s: FloatArray
    band_edges_hz: FloatArray

    def find_regions(self, limit: int = 5, min_drop: float = MIN_DROP) -> tuple[Region, ...]:
        """Find the cells that change the probability most, up or down.

        Args:
            limit: Return no more than this.
            min_drop: Leave out what changes it by less, in either direction.

        Returns:
            The cells, the strongest first.
        """
        return _rank_regions(self.drops, self.time_edges_s, self.band_edges_hz, limit, min_drop)

    def find_stretches(self, limit: int = 3, min_drop: float = MIN_DROP) -> tuple[Region, ...]:
        """Find the stretches of time that change it most, at all frequencies together."""
        drops, edges_hz = self.time_drops[np.newaxis], self.band_edges_hz[[0, -1]]
        return _rank_regions(drops, self.time_edges_s, edges_hz, limit, min_drop)

    def find_bands(self, limit: int = 3, min_drop: float = MIN_DROP) -> tuple[Region, ...]:
        """Find the bands that change it most, over the whole recording."""
        drops, edges_s = self.band_drops[:, np.newaxis], self.time_edges_s[[0, -1]]
        return _rank_regions(drops, edges_s, self.band_edges_hz, limit, min_drop)

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON-ready types."""
        return {
            "emotion": self.emotion,
            "probability": self.probability,
            "time_edges_s": self.time_edges_s.tolist(),
            "band_edges_hz": self.band_edges_hz.tolist(),
            "drops": self.drops.tolist(),
            "time_drops": self.time_drops.tolist(),
            "band_drops": self.band_drops.tolist(),
        }


def load_speech(recognizer: Recognizer, source: str | Path | bytes | BinaryIO) -> Waveform:
    """Load a recording as a recogniser hears it, unless nobody speaks in it.

    Args:
        recognizer: Says which rate, and whether anybody speaks.
        source: Path, encoded bytes, or binary file object.

    Returns:
        The recording at the model's rate.

    Raises:
        AudioError: The recording cannot be used, or nobody is heard speaking.
    """
    rate_hz = recognizer.info.sample_rate_hz
    waveform = load_audio(source, rate_hz, max_duration_s=recognizer.max_duration_s)
    if recognizer.predict(waveform).abstained == "no speech":
        raise AudioError(
            "nobody is heard speaking, so there is no decision to explain; expected speech. "
            "Without the voice-activity detector, noise is explained too",
            code="audio.no_speech",
            source=name_source(source),
        )
    return waveform


def explain_recording(
    recognizer: Recognizer,
    source: str | Path | bytes | BinaryIO,
    *,
    emotion: str | None = None,
    n_times: int = N_TIMES,
    n_bands: int = N_BANDS,
) -> Explanation:
    """Find which regions of a recording drove what a recogniser makes of it.

    Args:
        recognizer: Whose prediction is explained. Where it would abstain for want of confidence,
            its most probable emotion is explained.
        source: Path, encoded bytes, or binary file object.
        emotion: Explain this one; ``None``: the most probable.
        n_times: Stretches of equal length.
        n_bands: Bands up to 8 kHz, evenly apart in mel.

    Returns:
        The map; the same recording and model give the same numbers.

    Raises:
        AudioError: The recording cannot be used or is too long, or nobody is heard speaking.
        EmovoxError: The model does not know the emotion, or the grid is too fine.
    """
    waveform = load_speech(recognizer, source)
    return explain_waveform(recognizer, waveform, emotion=emotion, n_times=n_times, n_bands=n_bands)


def explain_waveform(
    recognizer: Recognizer,
    waveform: Waveform,
    *,
    emotion: str | None = None,
    n_times: int = N_TIMES,
    n_bands: int = N_BANDS,
) -> Explanation:
    """Find which regions of a waveform drove the model's prediction, whether anybody speaks or not.

    The model is run once for the whole and for each cell, stretch and band: 153 times by default.

    Args:
        recognizer: Holds the model.
        waveform: At any rate; at the model's, it is not resampled each time.
        emotion: Explain this one; ``None``: the most probable.
        n_times: Stretches of equal length.
        n_bands: Bands up to 8 kHz, evenly apart in mel.

    Returns:
        The map.

    Raises:
        AudioError: It is longer than one window of the model.
        EmovoxError: The model does not know the emotion, or the grid is too fine.
    """
    labels = recognizer.info.labels
    if waveform.duration_s > MAX_WINDOW_S:
        raise AudioError(
            f"found {waveform.duration_s:.1f} s; expected at most {MAX_WINDOW_S:g} s: a longer "
            "recording is predicted by the mean of its windows: cut out the part to explain",
            code="audio.too_long",
        )
    if emotion is not None and emotion not in labels:
        raise EmovoxError(
            f"{recognizer.info.name} knows no emotion {emotion!r}; expected one of "
            f"{', '.join(labels)}"
        )
    if n_times < 1 or n_bands < 1 or n_times * n_bands > MAX_CELLS:
        raise EmovoxError(
            f"a grid of {n_times} by {n_bands}; expected at least 1 by 1, and {MAX_CELLS:,} cells "
            "at most: the model runs once for each"
        )
    whole = recognizer.score_waveform(waveform)
    asked = int(whole.argmax()) if emotion is None else labels.index(emotion)
    time_edges_s = np.linspace(0, waveform.duration_s, n_times + 1)
    band_edges_hz = make_band_edges(waveform.rate_hz, n_bands)
    windows = make_time_windows(len(waveform.samples), waveform.rate_hz, time_edges_s)
    bands = split_signal(waveform, band_edges_hz)

    def measure_drop(removed: FloatArray) -> float:
        rest = (waveform.samples - removed).astype(np.float32)
        scores = recognizer.score_waveform(Waveform(rest, waveform.rate_hz))
        return float(whole[asked] - scores[asked])

    sound = bands.sum(axis=0)
    return Explanation(
        emotion=labels[asked],
        probability=float(whole[asked]),
        drops=np.array([[measure_drop(window * band) for window in windows] for band in bands]),
        time_drops=np.array([measure_drop(window * sound) for window in windows]),
        band_drops=np.array([measure_drop(band) for band in bands]),
        time_edges_s=time_edges_s,
        band_edges_hz=band_edges_hz,
    )


def _rank_regions(
    drops: FloatArray, edges_s: FloatArray, edges_hz: FloatArray, limit: int, min_drop: float
) -> tuple[Region, ...]:
    """Return the strongest cells of ``(bands, times)``; the first of equals comes first."""
    strengths = np.abs(drops).ravel()
    order = np.argsort(-strengths, kind="stable")[:limit].tolist()
    regions = []
    for cell in order:
        band, time = divmod(cell, drops.shape[1])
        if strengths[cell] >= min_drop:
            start_s, end_s = edges_s[time : time + 2].tolist()
            low_hz, high_hz = edges_hz[band : band + 2].tolist()
            regions.append(Region(start_s, end_s, low_hz, high_hz, float(drops[band, time])))
    return tuple(regions)
