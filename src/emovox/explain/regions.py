"""Find the regions of time and frequency that drove a prediction, by removing each of them.

This is occlusion after Zeiler and Fergus (2014, Visualizing and Understanding Convolutional
Networks, ECCV, section 4.2), applied to audio. It only runs the model, so it works for any network.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from emovox.audio.channels import EACH, MIX
from emovox.audio.recording import open_recording
from emovox.audio.sources import name_source
from emovox.audio.waveform import Waveform
from emovox.errors import AudioError, EmovoxError
from emovox.evaluation.metrics import FloatArray
from emovox.explain.occlusion import make_band_edges, make_time_windows, split_signal
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.windows import WINDOW_S

N_TIMES = 16
N_BANDS = 8
MAX_CELLS = 10_000
MIN_DROP = 0.01
"""Changes below one percentage point of probability are ignored."""


@dataclass(frozen=True, slots=True)
class Region:
    """One cell of the map.

    Attributes:
        start_s: Start in seconds.
        end_s: End in seconds.
        low_hz: Lowest frequency in Hz.
        high_hz: Highest frequency in Hz.
        drop: Decrease of the emotion's probability without the region; negative if it rises.
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
    """Effect of each region of a recording on the probability of an emotion.

    A drop is the emotion's probability for the whole recording minus its probability without the
    region. Regions with a positive drop speak for the emotion, those with a negative drop against.

    Attributes:
        emotion: The explained emotion.
        probability: Probability of the emotion for the whole recording, in [0, 1].
        drops: Drop without each cell, float64 ``(bands, times)``, the lowest band first.
        time_drops: Drop without each stretch of time, float64 ``(times,)``.
        band_drops: Drop without each band, float64 ``(bands,)``.
        time_edges_s: Edges of the stretches in seconds, float64 ``(times + 1,)``.
        band_edges_hz: Edges of the bands in Hz, float64 ``(bands + 1,)``.
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
            limit: Maximum number of cells.
            min_drop: Minimum change of the probability, in either direction.

        Returns:
            The cells, the strongest first.
        """
        return _rank_regions(self.drops, self.time_edges_s, self.band_edges_hz, limit, min_drop)

    def find_stretches(self, limit: int = 3, min_drop: float = MIN_DROP) -> tuple[Region, ...]:
        """Find the stretches of time that change the probability most, over all frequencies."""
        drops, edges_hz = self.time_drops[np.newaxis], self.band_edges_hz[[0, -1]]
        return _rank_regions(drops, self.time_edges_s, edges_hz, limit, min_drop)

    def find_bands(self, limit: int = 3, min_drop: float = MIN_DROP) -> tuple[Region, ...]:
        """Find the bands that change the probability most, over the whole recording."""
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


def load_speech(
    recognizer: Recognizer,
    source: str | Path | bytes | BinaryIO,
    *,
    channel: str | int = MIX,
    track: int | None = None,
) -> Waveform:
    """Load a recording at a recogniser's rate, and check that it contains speech.

    Args:
        recognizer: Provides the sampling rate and the voice-activity detector.
        source: Path, encoded bytes, or binary file object.
        channel: As in ``Recognizer.predict``.
        track: As in ``Recognizer.predict``.

    Returns:
        The recording at the model's rate.

    Raises:
        AudioError: The recording cannot be used, or no speech was detected.
    """
    if channel == EACH:
        raise EmovoxError("channel is 'each'; expected one channel or 'mix' to explain")
    rate_hz = recognizer.info.sample_rate_hz
    with open_recording(source, max_duration_s=recognizer.max_duration_s) as recording:
        selection = recognizer.select_sound(recording, channel, track)[0]
        waveform = recording.read(rate_hz, selection.signs, selection.track)
    if recognizer.predict(waveform).abstained == "no speech":
        raise AudioError(
            "no speech detected, so there is no prediction to explain; expected speech. "
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
    channel: str | int = MIX,
    track: int | None = None,
    n_times: int = N_TIMES,
    n_bands: int = N_BANDS,
) -> Explanation:
    """Find which regions of a recording drove a recogniser's prediction.

    Args:
        recognizer: Recogniser whose prediction is explained. If it would abstain as uncertain, its
            most probable emotion is explained.
        source: Path, encoded bytes, or binary file object.
        emotion: Emotion to explain; ``None`` for the most probable.
        channel: As in ``Recognizer.predict``.
        track: As in ``Recognizer.predict``.
        n_times: Number of stretches of equal length.
        n_bands: Number of bands up to 8 kHz, equally spaced in mel.

    Returns:
        The map; the same recording and model give the same numbers.

    Raises:
        AudioError: The recording cannot be used or is too long, or no speech was detected.
        EmovoxError: The model does not know the emotion, or the grid is too fine.
    """
    waveform = load_speech(recognizer, source, channel=channel, track=track)
    return explain_waveform(recognizer, waveform, emotion=emotion, n_times=n_times, n_bands=n_bands)


def explain_waveform(
    recognizer: Recognizer,
    waveform: Waveform,
    *,
    emotion: str | None = None,
    n_times: int = N_TIMES,
    n_bands: int = N_BANDS,
) -> Explanation:
    """Find which regions of a waveform drove the model's prediction, without speech detection.

    The model runs once for the whole waveform, and once for each cell, stretch and band: 153 times
    by default.

    Args:
        recognizer: Recogniser with the model.
        waveform: Waveform at any rate; the model's rate avoids repeated resampling.
        emotion: Emotion to explain; ``None`` for the most probable.
        n_times: Number of stretches of equal length.
        n_bands: Number of bands up to 8 kHz, equally spaced in mel.

    Returns:
        The map.

    Raises:
        AudioError: The waveform is longer than one window of the model.
        EmovoxError: The model does not know the emotion, or the grid is too fine.
    """
    labels = recognizer.info.labels
    if waveform.duration_s > WINDOW_S:
        raise AudioError(
            f"found {waveform.duration_s:.1f} s; expected at most {WINDOW_S:g} s: a longer "
            "recording is predicted by the mean of its windows: cut out the part to explain",
            code="audio.too_long",
        )
    if emotion is not None and emotion not in labels:
        raise EmovoxError(
            f"{recognizer.info.name} has no emotion {emotion!r}; expected one of "
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
    """Return the strongest cells of ``(bands, times)``; ties keep their order."""
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
