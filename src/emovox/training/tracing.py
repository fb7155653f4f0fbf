"""Trace a PyTorch module into an ONNX graph with PyTorch's exporter."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from emovox.errors import ExportError


def trace_module(
    module: nn.Module,
    example: Tensor,
    dynamic: dict[int, Any],
    inputs: str,
    outputs: str,
    more: Sequence[tuple[str, Tensor]] = (),
) -> bytes:
    """Trace a module whose first input is its parameter ``waveform``, with one output.

    Args:
        module: The module, in evaluation mode.
        example: An example input.
        dynamic: Dimensions of the first input with variable size.
        inputs: Name of the graph's first input.
        outputs: Name of the graph's output.
        more: Names, of parameters and inputs alike, and examples of inputs with a fixed size.

    Returns:
        The ONNX model.

    Raises:
        ExportError: The exporter returned no model.
    """
    with quiet_exporter():
        program = torch.onnx.export(
            module,
            (example, *(tensor for _, tensor in more)),
            dynamo=True,
            dynamic_shapes={"waveform": dynamic, **{name: None for name, _ in more}},
            input_names=[inputs, *(name for name, _ in more)],
            output_names=[outputs],
            verbose=False,
        )
    if program is None:
        raise ExportError("PyTorch's exporter gave no model")
    content: bytes = program.model_proto.SerializeToString()
    return content


@contextlib.contextmanager
def quiet_exporter() -> Iterator[None]:
    """Silence the exporter's warnings about missing torchvision and deprecations."""
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
