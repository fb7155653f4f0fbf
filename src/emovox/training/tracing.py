"""A PyTorch module as an ONNX graph, by PyTorch's exporter."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from emovox.errors import ExportError


def trace_module(
    module: nn.Module, example: Tensor, dynamic: dict[int, Any], inputs: str, outputs: str
) -> bytes:
    """Trace a module with one input, its parameter ``waveform``, and one output.

    Args:
        module: In evaluation mode.
        example: An input.
        dynamic: The dimensions of the input that may have any size.
        inputs: Name of the graph's input.
        outputs: Name of its output.

    Returns:
        The ONNX model.

    Raises:
        ExportError: The exporter gave none.
    """
    with quiet_exporter():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes={"waveform": dynamic},
            input_names=[inputs],
            output_names=[outputs],
            verbose=False,
        )
    if program is None:
        raise ExportError("PyTorch's exporter gave no model")
    content: bytes = program.model_proto.SerializeToString()
    return content


@contextlib.contextmanager
def quiet_exporter() -> Iterator[None]:
    """Silence the exporter's notes on its own inside: missing torchvision, deprecations."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
