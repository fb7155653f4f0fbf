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

_SECTION_QUALITIES = (
    0.541196100146197,
    1.306562964876377,
)  # of a Butterworth filter's two sections


class Leveller:
    """Sets the level of one frame after the other.

    Args:
        rate_hz: Sampling rate in Hz.
        n_samples: Samples of a frame.
        level_rms: RMS of the result while the level is constant.
    """

    def __init__(self, rate_hz: int, n_samples: int, level_rms: float) -> None:
        self._filter = HighPass(LOWEST_HZ, rate_hz, n_samples)
        self._level_rms = level_rms
        self._powers = np.zeros(round(ATTACK_S * rate_hz / n_samples))
        self._power = 0.0
        self._fading = float(np.exp(-n_samples / rate_hz / RELEASE_S))

    def apply(self, frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Level the next frame.

        Args:
            frame: float32 ``(n_samples,)``.

        Returns:
            float32, the same shape.
        """
        samples = self._filter.apply(frame)
        self._powers = np.append(self._powers[1:], samples @ samples / len(samples))
        self._power = max(float(self._powers.mean()), self._power * self._fading)
        level_rms = max(float(np.sqrt(self._power)), MIN_LEVEL_RMS)
        levelled: npt.NDArray[np.float32] = (samples * (self._level_rms / level_rms)).astype("f4")
        return levelled


class HighPass:
    """A Butterworth filter of fourth order that is applied to one frame after the other.

    Args:
        corner_hz: Frequency at which the power is halved.
        rate_hz: Sampling rate in Hz.
        n_samples: Samples of a frame.
    """

    def __init__(self, corner_hz: float, rate_hz: int, n_samples: int) -> None:
        self._numerator, self._feedback = design_high_pass(corner_hz, rate_hz)
        order = len(self._feedback) - 1
        self._state = np.zeros(order)
        # The recursion, solved for all samples of a frame: a loop in Python would take 20 times
        # as long as the speech detector.
        responses = np.zeros((1 + order, n_samples))  # for an impulse, and for each state
        for response, impulse, state in zip(
            responses, [1.0] + order * [0.0], [np.zeros(order), *np.eye(order)], strict=True
        ):
            for at in range(n_samples):
                given = impulse if at == 0 else 0.0
                response[at] = self._numerator[0] * given + state[0]
                state = np.append(state[1:], 0.0)
                state += self._numerator[1:] * given - self._feedback[1:] * response[at]
        lags = np.subtract.outer(np.arange(n_samples), np.arange(n_samples))
        self._of_inputs = np.where(lags >= 0, responses[0][lags.clip(0)], 0.0)  # (outputs, inputs)
        self._of_state = responses[1:].T.copy()  # (outputs, order)

    def apply(self, frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Filter the next frame.

        Args:
            frame: float32 ``(n_samples,)``.

        Returns:
            float64, the same shape.
        """
        inputs = frame.astype(np.float64)
        outputs: npt.NDArray[np.float64] = self._of_inputs @ inputs + self._of_state @ self._state
        order = len(self._state)
        self._state = np.array(
            [
                self._numerator[k:] @ inputs[: -order - 2 + k : -1]
                - self._feedback[k:] @ outputs[: -order - 2 + k : -1]
                for k in range(1, order + 1)
            ]
        )
        return outputs


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
        >>> numerator.round(4).tolist()
        [0.9677, -3.8709, 5.8063, -3.8709, 0.9677]
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
