"""The embedding of a recording: what the model computes before it names an emotion."""

from typing import Any

import numpy as np

from emovox.archives.settings import ArchiveSettings
from emovox.audio.load import load_audio
from emovox.errors import ModelFileError
from emovox.recognition.model_file import INPUT_NAME
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.session import run_session

EMBEDDING_NAME = "embedding"


def embed_recording(
    recognizer: Recognizer, source: Any, rate_hz: int | None, settings: ArchiveSettings
) -> tuple[list[float], float]:
    """Return the embedding of a recording and its duration.

    Args:
        recognizer: Runs the model.
        source: A path, a binary file, or an array.
        rate_hz: Sampling rate of an array in Hz.
        settings: Channel, track and maximum duration.

    Returns:
        ``features`` numbers, and seconds.

    Raises:
        ModelFileError: The model file has no embedding.
        AudioError: The recording cannot be used.
    """
    waveform = load_audio(
        source,
        recognizer.info.sample_rate_hz,
        source_rate_hz=rate_hz,
        channel=settings.channel,
        track=settings.track,
        max_duration_s=settings.longest_s,
    )
    embed = getattr(recognizer, "embed", None)
    if embed is not None:
        embedding = np.asarray(embed(waveform), np.float32)
        return embedding.tolist(), waveform.duration_s
    session = recognizer.model.session
    if EMBEDDING_NAME not in [output.name for output in session.get_outputs()]:
        raise ModelFileError(
            f"has no output named {EMBEDDING_NAME!r}; train or export it again with this version",
            code="model.no_embedding",
            source=recognizer.info.name,
        )
    (found,) = run_session(
        session,
        [EMBEDDING_NAME],
        {INPUT_NAME: waveform.samples[np.newaxis]},  # (1, samples)
        name=recognizer.info.name,
        duration_s=waveform.duration_s,
    )
    return np.asarray(found[0], np.float32).tolist(), waveform.duration_s
