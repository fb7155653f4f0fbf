"""Made conversations: clips joined with pauses and room tone, with who felt what when.

Two speakers of a corpus take turns. A turn has one to three clips with short pauses between them,
and the emotion changes between turns and, half of the time, between the clips of a turn. No corpus
here has labelled conversations; this measures times and changes, not how people talk.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emovox import Clip, load_audio

RATE_HZ = 16_000
FRAME_S = 0.01
SPEECH_SHARE = 0.35
"""A clip's edges are cut where their level in dB is below this share of the way from its quiet (5%)
to its loud (95%) frames. Many clips of CREMA-D have only 20 dB between them."""

CLIPS_OF_TURN = (1, 2, 3)
CHANGE_WITHIN_TURN = 0.5
PAUSE_WITHIN_TURN_S = (0.05, 0.3)
PAUSE_BETWEEN_TURNS_S = (0.6, 3.0)
SPEAKER_RMS_DBFS = (-32.0, -20.0)
ROOM_RMS_DBFS = (-65.0, -50.0)

Samples = npt.NDArray[np.float32]
Segment = tuple[float, float, str | None]
"""Start and end in seconds, and the emotion, or ``None`` in a pause."""


@dataclass(frozen=True)
class Conversation:
    """A made recording.

    Attributes:
        name: Corpus and number.
        samples: float32 ``(samples,)`` at ``RATE_HZ``.
        segments: What is true, from 0 to the end, without gaps.
        speakers: Whose clips it has.
    """

    name: str
    samples: Samples
    segments: tuple[Segment, ...]
    speakers: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / RATE_HZ


def make_conversations(
    corpus: str, clips: Sequence[Clip], count: int, duration_s: float, seed: int
) -> list[Conversation]:
    """Make conversations, each of two speakers.

    Args:
        corpus: Name of the corpus.
        clips: The clips to choose from, of at least two speakers.
        count: Number of conversations.
        duration_s: Each ends with the first turn after this time.
        seed: Seed of the random draws.
    """
    generator = np.random.default_rng([seed, *corpus.encode()])
    of_speaker: dict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.name):
        of_speaker[clip.speaker].append(clip)
    made = []
    for number in range(1, count + 1):
        speakers = [str(s) for s in generator.choice(sorted(of_speaker), 2, replace=False)]
        chosen = [of_speaker[speaker] for speaker in speakers]
        samples, segments = make_conversation(chosen, duration_s, generator)
        made.append(Conversation(f"{corpus}-{number:02d}", samples, segments, tuple(speakers)))
    return made


def make_conversation(
    clips: list[list[Clip]], duration_s: float, generator: np.random.Generator
) -> tuple[Samples, tuple[Segment, ...]]:
    """Make one conversation of the clips of each speaker, who take turns."""
    gains = [
        10 ** (generator.uniform(*SPEAKER_RMS_DBFS) / 20) / measure_rms(of_speaker, generator)
        for of_speaker in clips
    ]
    parts: list[Samples] = []
    segments: list[Segment] = []
    n, turn = 0, 0

    def add(samples: Samples, emotion: str | None) -> None:
        nonlocal n
        parts.append(samples)
        segments.append((n / RATE_HZ, (n + len(samples)) / RATE_HZ, emotion))
        n += len(samples)

    add(make_pause(PAUSE_BETWEEN_TURNS_S, generator), None)
    while n < duration_s * RATE_HZ:
        of_speaker, gain = clips[turn % 2], gains[turn % 2]
        emotions = sorted({clip.emotion for clip in of_speaker})
        emotion = emotions[generator.integers(len(emotions))]
        for at in range(generator.choice(CLIPS_OF_TURN)):
            if at:
                # A short pause belongs to both sides.
                pause = make_pause(PAUSE_WITHIN_TURN_S, generator)
                add(pause[: len(pause) // 2], emotion)
                if generator.random() < CHANGE_WITHIN_TURN:
                    others = [other for other in emotions if other != emotion]
                    emotion = others[generator.integers(len(others))]
                add(pause[len(pause) // 2 :], emotion)
            choices = [clip for clip in of_speaker if clip.emotion == emotion]
            clip = choices[generator.integers(len(choices))]
            add(np.float32(gain) * read_speech(clip), emotion)
        add(make_pause(PAUSE_BETWEEN_TURNS_S, generator), None)
        turn += 1
    samples = np.concatenate(parts) + make_room_tone(n, generator)
    peak = float(np.abs(samples).max())
    return (samples / max(peak, 1.0)).astype(np.float32), merge(segments)


def read_speech(clip: Clip) -> Samples:
    """Read a clip without the silence at its edges."""
    samples = load_audio(clip.path, RATE_HZ).samples
    n_frame = round(FRAME_S * RATE_HZ)
    frames = samples[: len(samples) // n_frame * n_frame].reshape(-1, n_frame)
    powers = np.convolve(
        np.mean(np.square(frames, dtype=np.float64), axis=1), np.ones(5) / 5, "same"
    )
    levels_db = 10 * np.log10(np.maximum(powers, 1e-12))
    quiet_db, loud_db = np.quantile(levels_db, [0.05, 0.95])
    speech = np.flatnonzero(levels_db >= quiet_db + SPEECH_SHARE * (loud_db - quiet_db))
    return samples[speech[0] * n_frame : (speech[-1] + 1) * n_frame]


def measure_rms(clips: list[Clip], generator: np.random.Generator, n_clips: int = 5) -> float:
    """Measure the level of a speaker from a few clips; differences between emotions remain."""
    chosen = [clips[i] for i in generator.choice(len(clips), n_clips)]
    powers = [np.mean(np.square(read_speech(clip), dtype=np.float64)) for clip in chosen]
    return float(np.sqrt(np.mean(powers)))


def make_pause(range_s: tuple[float, float], generator: np.random.Generator) -> Samples:
    """Make digital silence of a random duration; the room tone fills it."""
    return np.zeros(round(generator.uniform(*range_s) * RATE_HZ), np.float32)


def make_room_tone(n_samples: int, generator: np.random.Generator) -> Samples:
    """Make noise that falls by 6 dB for each octave above 100 Hz, at a random level."""
    spectrum = np.fft.rfft(generator.standard_normal(n_samples))
    frequencies_hz = np.fft.rfftfreq(n_samples, 1 / RATE_HZ)
    noise = np.fft.irfft(spectrum / np.maximum(frequencies_hz, 100), n_samples)
    rms = 10 ** (generator.uniform(*ROOM_RMS_DBFS) / 20)
    tone: Samples = (noise * rms / np.sqrt(np.mean(np.square(noise)))).astype(np.float32)
    return tone


def merge(segments: list[Segment]) -> tuple[Segment, ...]:
    """Merge consecutive segments of the same emotion."""
    merged = [segments[0]]
    for start_s, end_s, emotion in segments[1:]:
        if emotion == merged[-1][2]:
            merged[-1] = (merged[-1][0], end_s, emotion)
        else:
            merged.append((start_s, end_s, emotion))
    return tuple(merged)
