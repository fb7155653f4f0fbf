"""Voice-activity detection for sound that is still arriving: it depends on nothing later.

    512 samples -> without what lies below 64 Hz -> at the level of the speech so far -> Silero VAD

The detector for recordings (`voice_activity.py`) levels by 10 s at a time and takes a second, slowed
look at what seems to have no speech, so it is 10 s late. This one rates each frame when it is full.
"""

import numpy as np
import numpy.typing as npt

from emovox.audio.limits import SILENCE_PEAK
from emovox.recognition.voice_activity import (
    CONTEXT_SAMPLES,
    FRAME_SAMPLES,
    LEVEL_RMS,
    RATE_HZ,
    DetectorState,
    SpeechDetector,
)

LOWEST_HZ = 64.0
"""Corner of the high-pass filter: a Butterworth filter of fourth order."""

ATTACK_FRAMES = 8
"""A quarter of a second, over which the power of frames is averaged."""

RELEASE_S = 10.0
"""The level falls to 1/e of its power in this time."""

MIN_LEVEL_RMS = 0.001
"""-60 dBFS: nothing is amplified as if its level were lower, so that a quiet room stays quiet."""

_SECTION_QUALITIES = (0.541196100146197, 1.306562964876377)  # of a Butterworth filter's two sections


class CausalDetector:
    """Rates the frames of one stream; without a speech detector, only digital silence is none.

    Args:
        detector: Runs Silero VAD; ``None``: everything but digital silence counts as speech.
    """

    def __init__(self, detector: SpeechDetector | None) -> None:
        self._detector = detector
        self._filter = HighPass(LOWEST_HZ, RATE_HZ)
        self._state = DetectorState()
        self._powers = np.zeros(ATTACK_FRAMES)
        self._level_power = 0.0

    def rate(self, frame: npt.NDArray[np.float32]) -> float:
        """Return how probable speech is in the next frame.

        Args:
            frame: float32 ``(FRAME_SAMPLES,)`` at 16 kHz.

        Returns:
            Probability in [0, 1].
        """
        if self._detector is None:
            return float(np.ptp(frame) / 2 >= SILENCE_PEAK)
        samples = self._filter.apply(frame)
        self._powers = np.append(self._powers[1:], np.mean(np.square(samples)))
        fading = self._level_power * np.exp(-FRAME_SAMPLES / RATE_HZ / RELEASE_S)
        self._level_power = max(float(self._powers.mean()), float(fading))
        level_rms = max(np.sqrt(self._level_power), MIN_LEVEL_RMS)
        levelled = (samples * (LEVEL_RMS / level_rms)).astype(np.float32)
        return self._detector.rate_frame(levelled, self._state)


class HighPass:
    """A Butterworth filter of fourth order that is applied to one frame after the other.

    Args:
        corner_hz: Frequency at which the power is halved.
        rate_hz: Sampling rate in Hz.
    """

    def __init__(self, corner_hz: float, rate_hz: int) -> None:
        self._numerator, self._feedback = design_high_pass(corner_hz, rate_hz)
        order = len(self._feedback) - 1
        self._state = np.zeros(order)
        # The recursion, solved for all samples of a frame: a loop in Python would take 20 times
        # as long as the speech detector.
        responses = np.zeros((1 + order, FRAME_SAMPLES))  # for an impulse, and for each state
        for response, impulse, state in zip(
            responses, [1.0] + order * [0.0], [np.zeros(order), *np.eye(order)], strict=True
        ):
            for at in range(FRAME_SAMPLES):
                given = impulse if at == 0 else 0.0
                response[at] = self._numerator[0] * given + state[0]
                state = np.append(state[1:], 0.0)
                state += self._numerator[1:] * given - self._feedback[1:] * response[at]
        lags = np.subtract.outer(np.arange(FRAME_SAMPLES), np.arange(FRAME_SAMPLES))
        self._of_inputs = np.where(lags >= 0, responses[0][lags.clip(0)], 0.0)  # (outputs, inputs)
        self._of_state = responses[1:].T.copy()  # (outputs, order)

    def apply(self, frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Filter the next frame.

        Args:
            frame: float32 ``(FRAME_SAMPLES,)``.

        Returns:
            float64 ``(FRAME_SAMPLES,)``.
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
        feedback = np.convolve(feedback, np.array([1 + alpha, -2 * cosine, 1 - alpha]) / (1 + alpha))
    return numerator, feedback
