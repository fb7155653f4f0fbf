"""Level sound that is still arriving, by nothing that is later.

512 samples -> without what lies below 64 Hz -> at the level of the speech just before
"""

import numpy as np
import numpy.typing as npt

LOWEST_HZ = 64.0
"""Corner of the high-pass filter: the level of rumble would count as that of speech."""

ATTACK_S = 0.256
"""The level follows the power of this time before."""

RELEASE_S = 1.0
"""The level falls to 1/e of its power in this time. Of 0.5, 1, 3 and 10 s, the error of speech
detection was least at 1 s, on conversations made of tuning speakers: a quieter speaker is found at
once (docs/streaming.md)."""

MIN_LEVEL_RMS = 0.001
"""-60 dBFS: nothing is amplified as if its level were lower."""

BLOCK_SAMPLES = 128
"""What the filter solves at a time."""

_SECTION_QUALITIES = (
    0.541196100146197,
    1.306562964876377,
)  # of a Butterworth filter's two sections


class Leveller:
    """Sets the level of one frame after the other.

    Args:
        rate_hz: Sampling rate in Hz.
        n_samples: Samples of a frame, a multiple of 128.
        level_rms: RMS of the result while the level is constant.
    """

    def __init__(self, rate_hz: int, n_samples: int, level_rms: float) -> None:
        self._filter = HighPass(LOWEST_HZ, rate_hz)
        self._level_rms = level_rms
        self._powers = np.zeros(round(ATTACK_S * rate_hz / n_samples) - 1)  # of the frames before
        self._power = 0.0
        self._fading = float(np.exp(-n_samples / rate_hz / RELEASE_S))

    def apply(self, frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Level the next frames.

        Args:
            frames: float32 ``(frames, n_samples)``.

        Returns:
            float32, the same shape.
        """
        samples = self._filter.apply(frames.reshape(-1)).reshape(frames.shape)
        powers = np.append(self._powers, np.mean(np.square(samples), axis=1))
        self._powers = powers[-len(self._powers) :]
        averages = np.lib.stride_tricks.sliding_window_view(powers, len(self._powers) + 1)
        level_powers = np.empty((len(frames), 1))
        for at, power in enumerate(averages.mean(axis=1).tolist()):
            self._power = max(power, self._power * self._fading)
            level_powers[at] = self._power
        gains = self._level_rms / np.maximum(np.sqrt(level_powers), MIN_LEVEL_RMS)
        levelled: npt.NDArray[np.float32] = (samples * gains).astype(np.float32)
        return levelled


class HighPass:
    """A Butterworth filter of fourth order that is applied to one part of a signal after the other.

    Args:
        corner_hz: Frequency at which the power is halved.
        rate_hz: Sampling rate in Hz.
    """

    def __init__(self, corner_hz: float, rate_hz: int) -> None:
        numerator, feedback = design_high_pass(corner_hz, rate_hz)
        order = len(feedback) - 1
        self._state = np.zeros(order)
        # The recursion, solved for a block of samples: a loop over samples in Python would take
        # longer than the speech detector.
        outputs = np.zeros((1 + order, BLOCK_SAMPLES))  # for an impulse, and for each state
        states = np.zeros((1 + order, BLOCK_SAMPLES, order))  # after each sample
        for row in range(1 + order):
            state = np.zeros(order) if row == 0 else np.eye(order)[row - 1]
            for at in range(BLOCK_SAMPLES):
                given = float(row == 0 and at == 0)
                outputs[row, at] = numerator[0] * given + state[0]
                state = np.append(state[1:], 0.0)
                state += numerator[1:] * given - feedback[1:] * outputs[row, at]
                states[row, at] = state
        lags = np.subtract.outer(np.arange(BLOCK_SAMPLES), np.arange(BLOCK_SAMPLES))
        self._inputs_to_outputs = np.where(lags >= 0, outputs[0][lags.clip(0)], 0.0).T.copy()
        self._inputs_to_state = states[0, ::-1].copy()  # (inputs, order)
        self._state_to_outputs = outputs[1:].copy()  # (order, outputs)
        self._state_to_state = states[1:, -1].copy()  # (order, order)

    def apply(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Filter the next samples.

        Args:
            samples: float32 ``(samples,)``, a multiple of ``BLOCK_SAMPLES``.

        Returns:
            float64 ``(samples,)``.
        """
        blocks = samples.astype(np.float64).reshape(-1, BLOCK_SAMPLES)
        states = np.empty((len(blocks), len(self._state)))  # before each block
        for at, added in enumerate(blocks @ self._inputs_to_state):
            states[at] = self._state
            self._state = self._state @ self._state_to_state + added
        outputs: npt.NDArray[np.float64] = (
            blocks @ self._inputs_to_outputs + states @ self._state_to_outputs
        )
        return outputs.reshape(-1)


def design_high_pass(
    corner_hz: float, rate_hz: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Design a Butterworth high-pass filter of fourth order, from two of second order.

    Args:
        corner_hz: Frequency at which the power is halved.
        rate_hz: Sampling rate in Hz.

    Returns:
        Coefficients of inputs and of outputs, float64 ``(5,)`` each, as in
        ``scipy.signal.butter(4, corner_hz, "high", fs=rate_hz)``.

    Examples:
        >>> numerator, feedback = design_high_pass(64.0, 16_000)
        >>> numerator.round(3).tolist()
        [0.968, -3.871, 5.806, -3.871, 0.968]
    """
    # R. Bristow-Johnson's cookbook (https://www.w3.org/TR/audio-eq-cookbook/).
    turn = 2 * np.pi * corner_hz / rate_hz
    cosine = np.cos(turn)
    numerator = feedback = np.ones(1)
    for quality in _SECTION_QUALITIES:
        alpha = np.sin(turn) / (2 * quality)
        numerator = np.convolve(numerator, (1 + cosine) / (2 + 2 * alpha) * np.array([1, -2, 1]))
        feedback = np.convolve(
            feedback, np.array([1 + alpha, -2 * cosine, 1 - alpha]) / (1 + alpha)
        )
    return numerator, feedback
