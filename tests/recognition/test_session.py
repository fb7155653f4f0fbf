"""A session that threads share is opened once, whoever comes first."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from emovox.recognition.session import open_once, open_session
from emovox.training import speech_encoder

N_THREADS = 8


def call_together(function: Any, *args: Any) -> list[Any]:
    """Call a function from eight threads at the same time."""
    start = threading.Barrier(N_THREADS)

    def call() -> Any:
        start.wait()
        return function(*args)

    with ThreadPoolExecutor(N_THREADS) as pool:
        return [future.result() for future in [pool.submit(call) for _ in range(N_THREADS)]]


def test_eight_threads_open_one_session(loudness_model: Path) -> None:
    n_opened = 0

    @open_once
    def open_model(path: Path) -> ort.InferenceSession:
        nonlocal n_opened
        n_opened += 1
        return open_session(path.read_bytes())

    sessions = call_together(open_model, loudness_model)
    assert n_opened == 1
    assert {id(session) for session in sessions} == {id(open_model(loudness_model))}


def test_what_fails_to_open_is_tried_again() -> None:
    tries = []

    @open_once
    def fail(name: str) -> None:
        tries.append(name)
        raise OSError(name)

    for _ in range(2):
        with pytest.raises(OSError, match="a"):
            fail("a")
    assert tries == ["a", "a"]


def test_eight_threads_open_the_speech_encoder_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def open_and_count(content: bytes) -> ort.InferenceSession:
        opened.append(len(content))
        return open_session(content)

    anew = open_once(speech_encoder.open_speech_encoder.__wrapped__)  # type: ignore[attr-defined]
    monkeypatch.setattr(speech_encoder, "open_session", open_and_count)
    monkeypatch.setattr(speech_encoder, "open_speech_encoder", anew)
    encoders = call_together(speech_encoder.SpeechEncoder)
    assert len(opened) == 1
    assert len({id(encoder.session) for encoder in encoders}) == 1
