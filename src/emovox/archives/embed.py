"""The embedding of a recording: what the model computes before it names an emotion."""

from collections.abc import Iterator
from typing import Any

from emovox.archives.settings import ArchiveSettings
from emovox.audio.recording import open_recording
from emovox.audio.waveform import Waveform
from emovox.errors import AudioError
from emovox.recognition.enroll import embed_windows
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.windows import iterate_windows


def embed_recording(
    recognizer: Recognizer, source: Any, rate_hz: int | None, settings: ArchiveSettings
) -> tuple[list[float], float]:
    """Return the embedding of a recording, as ``Recognizer.embed`` does, and its duration.

    Args:
        recognizer: Runs the model.
        source: A path, a binary file, or an array.
        rate_hz: Sampling rate of an array in Hz.
        settings: Channel, track and maximum duration.

    Returns:
        ``features`` numbers, and seconds.

    Raises:
        ModelFileError: The model file has no embedding.
        AudioError: The recording cannot be used, or has no speech.
    """
    n_samples = 0
    model_rate_hz = recognizer.info.sample_rate_hz
    with open_recording(source, rate_hz, max_duration_s=settings.longest_s) as recording:
        (selection,) = recognizer.select_sound(recording, settings.channel, settings.track)
        blocks = recording.iterate(model_rate_hz, selection.signs, selection.track)

        def count_samples() -> Iterator[Waveform]:
            nonlocal n_samples
            for window in iterate_windows(blocks, model_rate_hz):
                n_samples += len(window.samples)
                yield window

        embedded = embed_windows(recognizer, count_samples())
    if not embedded.embeddings:
        raise AudioError(
            "no speech detected; expected a recording with speech", code="audio.no_speech"
        )
    return embedded.average().tolist(), n_samples / model_rate_hz
