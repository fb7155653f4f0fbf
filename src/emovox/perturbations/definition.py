"""The type of a stress test: its perturbation, thresholds and results of public models."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from emovox.perturbations.levels import Samples

SER_TESTS_RATE_HZ = 16_000
"""Sampling rate of the definitions' sample counts, and the lowest rate that their tones allow."""

GROUPS = {
    "small": "small changes",
    "background": "background at 20 dB",
    "curve": "louder background",
    "interference": "offset, hum, rumble and clicks",
    "length": "parts of clips, and clips joined",
    "phone": "telephone",
    "codec": "codecs",
    "room": "rooms",
    "level": "large gains",
    "silence": "silence",
    "speed": "speed",
}
"""Groups of tests and their titles, in the order of running and printing."""

Apply = Callable[[Samples, int, np.random.Generator, Sequence[Samples]], Samples]
"""Function ``(samples, rate_hz, generator, voices)`` to samples; see ``Voices``."""


class Voices(StrEnum):
    """Recordings that a test needs besides the perturbed one.

    Attributes:
        NONE: None.
        OTHERS: Of other speakers, for babble.
        SAME: Of the same speaker and emotion, to join with it.
    """

    NONE = ""
    OTHERS = "others"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Peers:
    """Results of the best public models: 94 to 317 M parameters, other corpora, 4 classes.

    Attributes:
        unchanged: Share of unchanged predictions of the best model, on CREMA-D and on EMOVO.
        uar_change: Lowest and highest change of UAR over the models, if only that is known.
    """

    unchanged: tuple[float, float] | None = None
    uar_change: tuple[float, float] | None = None

    def __str__(self) -> str:
        if self.unchanged is not None:
            return f"{self.unchanged[0]:.2f} / {self.unchanged[1]:.2f}"
        if self.uar_change is not None:
            return f"UAR {self.uar_change[0]:+.2f} to {self.uar_change[1]:+.2f}"
        return ""


@dataclass(frozen=True, slots=True)
class StressTest:
    """A stress test: a perturbation of recordings, with thresholds.

    Attributes:
        name: Unique name.
        group: One of ``GROUPS``.
        definition: One-line description of the perturbation.
        apply: Function that perturbs a recording.
        min_unchanged: Threshold: smallest share of unchanged predictions; ``None``: no threshold.
        max_uar_loss: Threshold: largest loss of UAR; ``None``: no threshold.
        peers: Results of public models.
        draws_as: Name that seeds the random draw, by default the test's own; tests that share it
            draw the same noise.
        snr_db: Signal-to-noise ratio in dB, for tests that are plotted as a curve.
        is_random: Whether the perturbation is random.
        voices: Recordings that it needs.
    """

    name: str
    group: str
    definition: str
    apply: Apply
    min_unchanged: float | None = None
    max_uar_loss: float | None = None
    peers: Peers = Peers()
    draws_as: str = ""
    snr_db: float | None = None
    is_random: bool = True
    voices: Voices = Voices.NONE

    @property
    def has_threshold(self) -> bool:
        """Whether the test can fail."""
        return self.min_unchanged is not None or self.max_uar_loss is not None

    def perturb(
        self,
        samples: Samples,
        rate_hz: int,
        clip: str,
        *,
        seed: int = 0,
        voices: Sequence[Samples] = (),
    ) -> Samples:
        """Perturb a recording; the random draw depends only on seed, test and clip.

        Args:
            samples: Float32 ``(samples,)``.
            rate_hz: Sampling rate in Hz, at least 16,000.
            clip: Name of the recording.
            seed: Seed of the random draw.
            voices: Recordings at the same rate, of the kind of ``StressTest.voices``; without
                any, babble is synthesised and a recording is joined with itself.

        Returns:
            The perturbed recording, float32; only some tests change its length.

        Raises:
            AudioError: The recording is too short to be cropped.
            ValueError: The rate is below 16 kHz.

        Examples:
            >>> louder = StressTest("x2", "level", "doubled", lambda x, *_: 2 * x)
            >>> louder.perturb(np.float32([0.25]), 16_000, "a clip")
            array([0.5], dtype=float32)
        """
        if rate_hz < SER_TESTS_RATE_HZ:
            raise ValueError(f"found a rate of {rate_hz} Hz; expected {SER_TESTS_RATE_HZ} or more")
        digest = hashlib.sha256(f"{self.draws_as or self.name}\n{clip}".encode()).digest()
        generator = np.random.default_rng([seed, *np.frombuffer(digest, np.uint32).tolist()])
        return self.apply(samples, rate_hz, generator, voices)
