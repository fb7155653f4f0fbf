"""Open an ONNX network: every session of emovox is made here."""

from collections.abc import Callable
from functools import lru_cache, wraps
from threading import RLock
from typing import ParamSpec, TypeVar

import onnxruntime as ort

P = ParamSpec("P")
Opened = TypeVar("Opened")


def open_session(content: bytes, *, threads: int = 1) -> ort.InferenceSession:
    """Open a network for the CPU.

    Args:
        content: The ONNX file's bytes; given a path, a file could make the runtime read others.
        threads: CPU threads for one run.

    Returns:
        The session; threads may share it.

    Raises:
        Exception: One of onnxruntime's own, which have no base class in common.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Without it, x86 processors that lack VNNI add 8-bit products in 16 bits, which saturate: an
    # encoder whose weights use all 8 bits then gives other probabilities there.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def open_once(function: Callable[P, Opened]) -> Callable[P, Opened]:
    """Keep what a function opened last; threads that come at the same time wait for the first.

    ``lru_cache`` alone holds no lock meanwhile: eight threads that come first open eight.

    Args:
        function: Opens what is costly; its arguments are hashable.

    Returns:
        The function, which opens again only for other arguments.
    """
    cached: Callable[P, Opened] = lru_cache(maxsize=1)(function)  # type: ignore[assignment]
    lock = RLock()

    @wraps(function)
    def open_locked(*args: P.args, **kwargs: P.kwargs) -> Opened:
        with lock:
            return cached(*args, **kwargs)

    return open_locked
