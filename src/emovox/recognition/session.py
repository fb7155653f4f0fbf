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
    # Without it, x86 processors that lack VNNI add 8-bit products in 16 bits, which saturate: an
    # encoder whose weights use all 8 bits then gives other probabilities there.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
