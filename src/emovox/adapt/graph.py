"""The graph of a model file: read what its head computes, and put another head after it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from emovox.adapt.head import AdaptedHead
from emovox.errors import ModelFileError
from emovox.evaluation.metrics import FloatArray
from emovox.export.metadata import serialize_model
from emovox.recognition.model_file import (
    EMBEDDING_NAME,
    LABELS_NAME,
    OUTPUT_NAME,
    ModelInfo,
)

KERNEL_NODES = ("Gemm", "MatMul", "Einsum")
BASE_OUTPUT = "base_probabilities"
MIN_PROBABILITY = 1e-7
"""Below it, the base model's probabilities count as this."""


@dataclass(frozen=True, slots=True)
class HeadTensors:
    """Names of the tensors of a model's head.

    Attributes:
        inputs: Its inputs: the standardised embedding, after a voice was taken off.
        hidden: Its last hidden layer; ``None`` without one.
    """

    inputs: str
    hidden: str | None


def find_head(proto: onnx.ModelProto, name: str) -> HeadTensors:
    """Find the head of a model: the layers between its embedding and its probabilities.

    Args:
        proto: The model.
        name: Its name, for errors.

    Raises:
        ModelFileError: It has no embedding, or no layer after it.
    """
    found = {EMBEDDING_NAME}
    kernels = []
    if EMBEDDING_NAME in {output.name for output in proto.graph.output}:
        for node in proto.graph.node:
            if found & set(node.input):
                found |= set(node.output)
                if node.op_type in KERNEL_NODES:
                    kernels.append(node)
    if not kernels:
        raise ModelFileError(
            "the model has no embedding with a head after it; expected one with an encoder that "
            "this version of emovox wrote: train or export it again",
            code="model.no_embedding",
            source=name,
        )
    inputs = [next(key for key in node.input if key in found) for node in kernels]
    return HeadTensors(inputs[0], inputs[-1] if len(kernels) > 1 else None)


def expose_head(proto: onnx.ModelProto, tensors: HeadTensors) -> bytes:
    """Return the network with its head's inputs and hidden layer as further outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for name in filter(None, (tensors.inputs, tensors.hidden)):
        copy.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    content: bytes = copy.SerializeToString()
    return content


def replace_head(
    proto: onnx.ModelProto,
    tensors: HeadTensors,
    head: AdaptedHead,
    shared: FloatArray,
    base: ModelInfo,
    info: ModelInfo,
) -> bytes:
    """Return a model file whose probabilities are those of an adapted head.

    Args:
        proto: The base model.
        tensors: Where its head is.
        head: The adapted head.
        shared: Maps the base's log-probabilities to the scores of the new labels, float64
            ``(base classes, classes)``.
        base: Metadata of the base model.
        info: Metadata of the new file.
    """
    new = onnx.ModelProto()
    new.CopyFrom(proto)
    graph = new.graph
    if base.reference is not None:
        rename_labels(graph, base.labels, info.labels)
    for node in graph.node:
        node.output[:] = [BASE_OUTPUT if key == OUTPUT_NAME else key for key in node.output]
    constants = {
        "floor": np.float32(MIN_PROBABILITY),
        "shared": head.base_weight * shared / head.temperature,
        "kernel": head.kernel / head.temperature,
        "bias": head.bias / head.temperature,
    }
    for key, value in constants.items():
        array = np.asarray(value, np.float32)
        graph.initializer.append(numpy_helper.from_array(array, f"adapted/{key}"))
    graph.initializer.append(numpy_helper.from_array(np.array([1, -1]), "adapted/flat"))
    parts = [tensors.inputs, "adapted/hidden"] if tensors.hidden else [tensors.inputs]
    if tensors.hidden:
        graph.node.append(
            helper.make_node("Reshape", [tensors.hidden, "adapted/flat"], ["adapted/hidden"])
        )
    make = helper.make_node
    graph.node.extend(
        [
            make("Max", [BASE_OUTPUT, "adapted/floor"], ["adapted/likely"]),
            make("Log", ["adapted/likely"], ["adapted/logs"]),
            make("MatMul", ["adapted/logs", "adapted/shared"], ["adapted/scores"]),
            make("Concat", parts, ["adapted/inputs"], axis=1),
            make("Gemm", ["adapted/inputs", "adapted/kernel", "adapted/bias"], ["adapted/fit"]),
            make("Add", ["adapted/scores", "adapted/fit"], ["adapted/logits"]),
            make("Softmax", ["adapted/logits"], [OUTPUT_NAME], axis=1),
        ]
    )
    for output in graph.output:
        if output.name == OUTPUT_NAME:
            batch = output.type.tensor_type.shape.dim[0]
            rows = batch.dim_value or batch.dim_param
            output.CopyFrom(
                helper.make_tensor_value_info(
                    OUTPUT_NAME, TensorProto.FLOAT, [rows, len(info.labels)]
                )
            )
    return serialize_model(new, info)


def rename_labels(graph: onnx.GraphProto, base: Sequence[str], labels: Sequence[str]) -> None:
    """Let what is known of a reference's labels be given for the new labels."""
    known = "adapted/base_labels"
    for node in graph.node:
        node.input[:] = [known if key == LABELS_NAME else key for key in node.input]
    shape = [1, len(labels)]
    for entry in graph.input:
        if entry.name == LABELS_NAME:
            entry.CopyFrom(helper.make_tensor_value_info(LABELS_NAME, TensorProto.FLOAT, shape))
    for tensor in graph.initializer:
        if tensor.name == LABELS_NAME:
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(shape, np.float32), LABELS_NAME))
    same = np.array([[float(new == old) for old in base] for new in labels], np.float32)
    graph.initializer.append(numpy_helper.from_array(same, "adapted/same_labels"))
    node = helper.make_node("MatMul", [LABELS_NAME, "adapted/same_labels"], [known])
    graph.node.insert(0, node)
