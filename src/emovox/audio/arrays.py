"""Convert arrays of decoded samples to blocks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from emovox.audio.blocks import BLOCK_VALUES, Block
from emovox.audio.limits import SILENCE_PEAK, check_duration, check_header
from emovox.errors import AudioError

_FULL_SCALE = {np.dtype(np.int16): 2.0**15, np.dtype(np.int32): 2.0**31}


def check_array(samples: npt.ArrayLike, rate_hz: int, max_duration_s: float) -> npt.NDArray[Any]:
    """Return samples as an array ``(samples, channels)`` of a supported type.

    Args:
        samples: Shape ``(samples,)`` or ``(samples, channels)``: floats, int16, int32 or uint8.
        rate_hz: Sampling rate of ``samples`` in Hz.
        max_duration_s: Maximum duration of the array, in seconds.

    Raises:
        AudioError: The shape, type, rate or duration is not that of a recording.
    """
    try:
        array = np.asarray(samples)
    except (ValueError, TypeError) as error:
        raise AudioError(
            "is not an array of numbers, expected shape (samples,) or (samples, channels)",
            code="audio.bad_array",
        ) from error
    _check_shape(array)
    check_header(rate_hz, array.shape[1] if array.ndim == 2 else 1)
    check_duration(len(array) / rate_hz, max_duration_s)
    check_type(array)
    _check_scale(array)
    return array.reshape(len(array), -1)  # (samples, channels)


def iterate_array(array: npt.NDArray[Any], rate_hz: int) -> Iterator[Block]:
    """Yield the blocks of an array ``(samples, channels)``, with full scale at 1."""
    step = max(1, BLOCK_VALUES // array.shape[1])
    for start in range(0, len(array), step):
        yield Block(scale_to_float(array[start : start + step]), rate_hz)


def _check_shape(array: npt.NDArray[Any]) -> None:
    """Raise AudioError unless the shape is (samples,) or (samples, channels)."""
    if array.ndim not in (1, 2):
        raise AudioError(
            f"has shape {array.shape}, expected (samples,) or (samples, channels); reshape it",
            code="audio.bad_array",
        )
    if array.size == 0:
        raise AudioError(
            f"holds no samples (shape {array.shape}), expected at least one", code="audio.empty"
        )
    if array.ndim == 2 and array.shape[0] < array.shape[1]:
        raise AudioError(
            f"has shape {array.shape}: fewer samples than channels, expected (samples, channels); "
            "transpose it",
            code="audio.bad_array",
        )


def check_type(array: npt.NDArray[Any]) -> None:
    """Raise AudioError unless the type is one of samples."""
    kind = array.dtype.newbyteorder("=")
    if kind.kind != "f" and kind != np.uint8 and kind not in _FULL_SCALE:
        raise AudioError(
            f"has type {array.dtype}, expected float, int16, int32 or uint8; cast it, with full "
            "scale at 1 for floats",
            code="audio.bad_array",
        )


def _check_scale(array: npt.NDArray[Any]) -> None:
    """Raise AudioError for 16-bit values in a 32-bit array."""
    if array.dtype.newbyteorder("=") == np.int32:
        peak = max(-int(array.min()), int(array.max()))
        # Digital silence as 32-bit integers, but sound as 16-bit integers.
        if 2**15 * SILENCE_PEAK < peak < 2**31 * SILENCE_PEAK:
            raise AudioError(
                f"peaks at {peak} of {2**31 - 1}, expected 32-bit full scale; if the values are "
                "16-bit integers, cast the array to int16, otherwise scale it",
                code="audio.bad_scale",
            )


def scale_to_float(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return float32 with full scale at 1."""
    if array.dtype.kind == "f":
        # Values beyond float32 become infinite, and are reported by the level check.
        with np.errstate(over="ignore"):
            return array.astype(np.float32, copy=False)
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - 128) / np.float32(128)
    return array.astype(np.float32) / np.float32(_FULL_SCALE[array.dtype.newbyteorder("=")])
