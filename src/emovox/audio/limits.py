"""Limits of a recording, and the errors for those that exceed them."""

from typing import NoReturn

import numpy as np
import numpy.typing as npt

from emovox.errors import AudioError

MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 384_000
MAX_CHANNELS = 32
MAX_DURATION_S = 300.0
MAX_PEAK = 10.0
"""20 dB above full scale: higher peaks indicate integers that were not scaled to floats."""

SILENCE_PEAK = 1e-4
"""Recordings and channels that peak below this (-80 dBFS) count as digital silence."""

TAIL_TOLERANCE_S = 0.05
"""Tolerated error of a header: two MP3 frames, or a writer that miscounts its own header."""


def check_settings(rate_hz: int, max_duration_s: float) -> None:
    """Raise AudioError if the requested rate or maximum duration is invalid."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(
            f"the requested rate is {rate_hz} Hz, expected {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,} Hz; "
            "request another",
            code="setting.invalid",
        )
    if not max_duration_s > 0:
        raise AudioError(
            f"max_duration_s is {max_duration_s}, expected more than 0; set a positive duration",
            code="setting.invalid",
        )


def check_header(rate_hz: int, channels: int) -> None:
    """Raise AudioError if the sampling rate or the number of channels is out of range."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(
            f"has a rate of {rate_hz} Hz, expected {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,} Hz; "
            "correct the rate or convert the recording",
            code="audio.bad_rate",
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(
            f"has {channels} channels, expected 1 to {MAX_CHANNELS}; convert it to mono",
            code="audio.bad_channels",
        )


def check_duration(duration_s: float, max_duration_s: float, *, so_far: bool = False) -> None:
    """Raise AudioError if the duration, final or decoded ``so_far``, exceeds the limit."""
    # Decoders pad the last frame, so what is decoded may be slightly longer than the header says.
    if duration_s > max_duration_s + (TAIL_TOLERANCE_S if so_far else 0):
        lasts = f"more than {max_duration_s:g} s" if so_far else f"{duration_s:.2f} s"
        raise AudioError(
            f"lasts {lasts}, expected at most {max_duration_s:g} s; cut it into pieces or raise "
            "the limit (emovox predict --max-duration, in Python max_duration_s)",
            code="audio.too_long",
        )


def check_levels(samples: npt.NDArray[np.float32], start_s: float, rate_hz: int) -> None:
    """Raise AudioError for samples that are not finite, or far beyond full scale.

    Args:
        samples: float32 ``(samples,)``, at least one.
        start_s: Time of the first in the recording, in seconds.
        rate_hz: Sampling rate in Hz.
    """
    lowest, highest = float(samples.min()), float(samples.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        bad = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise AudioError(
            f"holds NaN or infinite samples (first at {start_s + bad / rate_hz:.3f} s), expected "
            "finite numbers; repair the recording",
            code="audio.not_finite",
        )
    if max(-lowest, highest) > MAX_PEAK:
        raise AudioError(
            f"peaks at {max(-lowest, highest):.6g}, expected full scale at 1 (at most "
            f"{MAX_PEAK:g}); divide by the full scale, e.g. 32768 for 16-bit integers",
            code="audio.bad_scale",
        )


def refuse_cut(promised_s: float, held_s: float) -> NoReturn:
    """Raise the error for a recording that is shorter than its header states."""
    raise AudioError(
        f"is cut short: the header promises {promised_s:.2f} s, the file holds {held_s:.2f} s; "
        "copy or record it again",
        code="audio.truncated",
    )


def refuse_cut_mid(file_bytes: int, unit: str) -> NoReturn:
    """Raise the error for a recording whose last page, frame or packet is incomplete."""
    raise AudioError(
        f"is cut short: its {file_bytes} bytes end mid-{unit}; copy or record it again",
        code="audio.truncated",
    )


def refuse_gap(place: str) -> NoReturn:
    """Raise the error for a recording of which a part between start and end is missing."""
    raise AudioError(
        f"is damaged: a part is missing {place}; copy or record it again", code="audio.damaged"
    )


def refuse_pause(start_s: float, end_s: float) -> NoReturn:
    """Raise the error for timestamps that jump: lost parts look like pauses of a recorder."""
    raise AudioError(
        f"is damaged or was paused: no sound from {start_s:.2f} to {end_s:.2f} s; copy it "
        "again, or if it is complete, fill the pause with silence (ffmpeg -i INPUT -af "
        "aresample=async=1 OUTPUT.wav)",
        code="audio.damaged",
    )


def refuse_empty() -> NoReturn:
    """Raise the error for a recording without samples."""
    raise AudioError("holds no samples, only a header; record it again", code="audio.empty")
