"""Open an ONNX network: every session of emovox is made here."""

import onnxruntime as ort


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
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
