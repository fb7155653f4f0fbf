"""Open ONNX networks: the only place where emovox creates ONNX Runtime sessions."""

from collections.abc import Callable
from functools import lru_cache, wraps
from threading import RLock
from typing import ParamSpec, TypeVar

import onnxruntime as ort

P = ParamSpec("P")
Opened = TypeVar("Opened")


def open_session(content: bytes, *, threads: int = 1) -> ort.InferenceSession:
    """Open a network for inference on the CPU.

    Args:
        content: Bytes of the ONNX file. Not a path, because an ONNX file can reference other files.
        threads: CPU threads per run.

    Returns:
        A session that threads can share.

    Raises:
        Exception: Any onnxruntime exception; they share no base class.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Otherwise x86 processors without VNNI accumulate 8-bit products in 16 bits, which saturates:
    # an encoder whose weights use all 8 bits then returns different probabilities there.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def open_once(function: Callable[P, Opened]) -> Callable[P, Opened]:
    """Cache a function's last result; concurrent first calls wait for one of them."""
    # lru_cache alone does not lock: eight threads calling at once would open eight sessions.
    cached: Callable[P, Opened] = lru_cache(maxsize=1)(function)  # type: ignore[assignment]
    lock = RLock()

    @wraps(function)
    def open_locked(*args: P.args, **kwargs: P.kwargs) -> Opened:
        with lock:
            return cached(*args, **kwargs)

    return open_locked
