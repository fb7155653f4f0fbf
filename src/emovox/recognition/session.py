"""Open ONNX networks: the only place where emovox creates ONNX Runtime sessions."""

from collections.abc import Callable
from functools import lru_cache, wraps
from threading import RLock
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from emovox.errors import ModelFileError

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


def run_session(
    session: ort.InferenceSession,
    outputs: list[str] | None,
    inputs: dict[str, npt.NDArray[np.float32]],
    *,
    name: str,
    duration_s: float,
) -> list[Any]:
    """Run a network on audio.

    Args:
        session: An open session.
        outputs: Names of the outputs to return; ``None``: all.
        inputs: Input arrays by name.
        name: Name of the network, for errors.
        duration_s: Duration of the audio, for errors.

    Raises:
        ModelFileError: ONNX Runtime fails.
        MemoryError: There is not enough memory.
    """
    try:
        found: list[Any] = session.run(outputs, inputs)
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime's errors share no base class
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"the model fails on {duration_s:.2f} s of audio ({reason}); expected "
            "probabilities: free memory, or train or export the model again",
            code="model.failed",
            source=name,
        ) from error
    return found


def open_once(function: Callable[P, Opened]) -> Callable[P, Opened]:
    """Cache a function's last results; concurrent first calls wait for one of them."""
    # lru_cache alone does not lock: eight threads calling at once would open eight sessions.
    cached: Callable[P, Opened] = lru_cache(maxsize=2)(function)  # type: ignore[assignment]
    lock = RLock()

    @wraps(function)
    def open_locked(*args: P.args, **kwargs: P.kwargs) -> Opened:
        with lock:
            return cached(*args, **kwargs)

    return open_locked
