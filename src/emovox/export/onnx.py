"""Write ``model.onnx``: the complete model, from waveform to probabilities, with metadata.

PyTorch's exporter traces each architecture once. The weights of a trained network are then
inserted into the traced graph, so twenty folds need only one trace.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx.compose
import onnx.helper
import onnx.version_converter
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from emovox.errors import ExportError
from emovox.export.metadata import seal_proto, serialize_model
from emovox.files import replace_file
from emovox.recipes.recipe import AnyFrontend, AnyNetwork, Recipe
from emovox.recipes.settings import FrontendSettings, TrainingSettings
from emovox.recognition.model_file import (
    EMBEDDING_NAME,
    INPUT_NAME,
    LABELS_NAME,
    OUTPUT_NAME,
    REFERENCE_NAME,
    WEIGHT_NAME,
    ModelInfo,
)
from emovox.recognition.session import open_session
from emovox.training.features import make_encoder
from emovox.training.frontend import SpectrogramFrontend
from emovox.training.networks import EmbeddingHead, WaveformClassifier, make_network
from emovox.training.rounding import MIN_ROUNDED, split_weight
from emovox.training.speech_encoder import ENCODER_OUTPUT
from emovox.training.tracing import trace_module

MAX_DIFFERENCE = 1e-4
"""Largest accepted difference of probabilities between PyTorch and the exported file."""


def export_onnx(
    model: WaveformClassifier,
    recipe: Recipe,
    info: ModelInfo,
    path: Path,
    waveforms: Sequence[npt.NDArray[np.float32]],
) -> float:
    """Write a trained model as ONNX after checking that its predictions agree with PyTorch's.

    Args:
        model: The trained model in evaluation mode.
        recipe: The recipe that it was trained with.
        info: The file's metadata.
        path: The file to write.
        waveforms: Real recordings to compare on, float32 ``(samples,)`` at the model's rate.

    Returns:
        The largest difference of a probability.

    Raises:
        ExportError: A difference exceeds ``MAX_DIFFERENCE``, or there are no waveforms. Nothing
            is written then.
    """
    content = build_onnx(model, recipe, info)
    difference = check_parity(content, model, waveforms, path)
    with replace_file(path) as part:
        part.write_bytes(content)
    return difference


def build_onnx(model: WaveformClassifier, recipe: Recipe, info: ModelInfo) -> bytes:
    """Return the content of a trained model's file, without checking it."""
    n_features = model.mean.numel()
    graph = trace_graph(
        recipe.frontend, recipe.network, n_features, len(info.labels), model.takes_reference
    )
    if not isinstance(recipe.frontend, FrontendSettings):
        graph = join_graphs(make_encoder(recipe.frontend).read_graph(), graph)
    proto = onnx.ModelProto.FromString(graph)
    if not isinstance(recipe.frontend, FrontendSettings):
        add_embedding(proto.graph, n_features, len(info.labels) if model.takes_reference else 0)
    insert_weights(proto, model)
    return serialize_model(proto, info)


def check_parity(
    content: bytes,
    model: WaveformClassifier,
    waveforms: Sequence[npt.NDArray[np.float32]],
    path: Path,
) -> float:
    """Compare a model file's predictions with PyTorch's.

    Args:
        content: The bytes of the model file.
        model: The model that the file was built from.
        waveforms: Real recordings, float32 ``(samples,)`` at the model's rate.
        path: Path of the file, for error messages.

    Returns:
        The largest difference of a probability.

    Raises:
        ExportError: The difference exceeds ``MAX_DIFFERENCE``, or there are no waveforms.
    """
    if not waveforms:
        raise ExportError(f"{path}: no recordings to check the model on; give at least one")
    session = open_session(content)
    differences = []
    references: list[dict[str, npt.NDArray[np.float32]]] = [{}]
    if model.takes_reference:
        (embedding,) = session.run([EMBEDDING_NAME], {INPUT_NAME: waveforms[-1][np.newaxis]})
        (probabilities,) = session.run([OUTPUT_NAME], {INPUT_NAME: waveforms[-1][np.newaxis]})
        weight = np.full(1, 0.6, np.float32)
        references.append(
            {REFERENCE_NAME: embedding, WEIGHT_NAME: weight, LABELS_NAME: probabilities}
        )
    for waveform in waveforms:
        batch = waveform[np.newaxis]  # (1, samples)
        for reference in references:
            (answer,) = session.run([OUTPUT_NAME], {INPUT_NAME: batch, **reference})
            with torch.inference_mode():
                inputs = [torch.from_numpy(value) for value in (batch, *reference.values())]
                expected = model(*inputs).numpy()
            differences.append(np.abs(answer - expected).max())
    # Not Python's max nor "difference > limit", which would both accept NaN.
    difference = float(np.max(differences))
    if not difference <= MAX_DIFFERENCE:
        raise ExportError(
            f"{path}: the exported model's probabilities differ by {difference:.2g} from "
            f"PyTorch's; expected at most {MAX_DIFFERENCE:g}. Please report this with the recipe"
        )
    return difference


@lru_cache(maxsize=8)
def trace_graph(
    frontend: AnyFrontend,
    network: AnyNetwork,
    n_features: int,
    n_classes: int,
    takes_reference: bool = False,
) -> bytes:
    """Trace an architecture into an ONNX model; of an encoder model, only the head is traced."""
    training = TrainingSettings(references=int(takes_reference))
    recipe = Recipe(name="trace", frontend=frontend, network=network, training=training)
    if isinstance(frontend, FrontendSettings):
        front = SpectrogramFrontend(frontend, traceable=True)
        example = torch.zeros(2, frontend.sample_rate_hz)
        return trace_classifier(recipe, front, example, INPUT_NAME, n_classes)
    example = torch.zeros(2, n_features)
    return trace_classifier(recipe, nn.Identity(), example, ENCODER_OUTPUT, n_classes)


def trace_classifier(
    recipe: Recipe, front: nn.Module, example: Tensor, name: str, n_classes: int
) -> bytes:
    """Trace a front end and the network after it, with placeholder weights."""
    generator = torch.Generator().manual_seed(0)
    n_features = example.shape[1]
    network = make_network(recipe, n_features, n_classes, generator)
    mean, std = torch.tensor(-51.37), torch.tensor(21.73)
    # The exporter drops no-ops (a weight of 0, a deviation of 1) and merges equal constants.
    # Unique values keep the weights separate, so they can be replaced later.
    with torch.no_grad():
        for weight in network.parameters():
            weight.uniform_(-0.1, 0.1, generator=generator)
        if isinstance(network, EmbeddingHead):
            mean, std = (torch.rand(n_features, generator=generator) + at for at in (1, 2))
            if network.baseline is not None:
                network.baseline.class_offsets.uniform_(-0.1, 0.1, generator=generator)
    temperature = 3.71
    model = WaveformClassifier(front, network, mean, std, temperature).eval()
    model.sharpening.fill_(0.43)
    dynamic = torch.export.Dim.DYNAMIC
    shape = {0: dynamic} if isinstance(network, EmbeddingHead) else {0: dynamic, 1: dynamic}
    more: tuple[tuple[str, Tensor], ...] = ()
    if model.takes_reference:
        more = (
            (REFERENCE_NAME, torch.zeros(1, n_features)),
            (WEIGHT_NAME, torch.zeros(1)),
            (LABELS_NAME, torch.zeros(1, n_classes)),
        )
    return trace_module(model, example, shape, name, OUTPUT_NAME, more)


def join_graphs(encoder: bytes, head: bytes) -> bytes:
    """Join an encoder and the head that follows it into one graph."""
    first, second = onnx.ModelProto.FromString(encoder), onnx.ModelProto.FromString(head)
    # Quantisation may list the input here too, and add_prefix would then rename it.
    del first.graph.value_info[:]
    first = onnx.compose.add_prefix(first, "encoder/", rename_inputs=False, rename_outputs=False)
    first.ir_version = second.ir_version = max(first.ir_version, second.ir_version)
    opset = max(o.version for model in (first, second) for o in model.opset_import if not o.domain)
    first = onnx.version_converter.convert_version(first, opset)
    second = onnx.version_converter.convert_version(second, opset)
    name_output(first.graph, ENCODER_OUTPUT)
    joined = onnx.compose.merge_models(first, second, io_map=[(ENCODER_OUTPUT, ENCODER_OUTPUT)])
    content: bytes = joined.SerializeToString()
    return content


def add_embedding(graph: onnx.GraphProto, n_features: int, n_classes: int = 0) -> None:
    """Make the embedding an output, and the reference, if any, an input that may be left out.

    Args:
        graph: The graph.
        n_features: Length of the embedding.
        n_classes: Number of labels of a model that takes a reference; otherwise 0.
    """
    shape = [1, n_features]
    embedding = onnx.helper.make_tensor_value_info(EMBEDDING_NAME, onnx.TensorProto.FLOAT, shape)
    graph.output.append(embedding)
    if n_classes:
        # An initializer with an input's name is its value where a program gives none.
        sizes = {REFERENCE_NAME: (1, n_features), WEIGHT_NAME: (1,), LABELS_NAME: (1, n_classes)}
        for name, size in sizes.items():
            zeros = np.zeros(size, np.float32)
            graph.initializer.append(numpy_helper.from_array(zeros, name))


def require_reference(content: bytes) -> bytes:
    """Return a model file whose reference has to be given; a weight of 0 means none.

    ONNX Runtime in a browser accepts no input that may be left out.

    Args:
        content: Bytes of a model file.
    """
    proto = onnx.ModelProto.FromString(content)
    inputs = {entry.name for entry in proto.graph.input}
    kept = [tensor for tensor in proto.graph.initializer if tensor.name not in inputs]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    return seal_proto(proto)


def name_output(graph: onnx.GraphProto, name: str) -> None:
    """Rename the only output of a graph."""
    found = graph.output[0].name
    graph.output[0].name = name
    for node in graph.node:
        for names in (node.input, node.output):
            for at, of_node in enumerate(names):
                if of_node == found:
                    names[at] = name


def insert_weights(proto: onnx.ModelProto, model: WaveformClassifier) -> None:
    """Replace the weights that the graph was traced with by a model's own weights."""
    initializers = {tensor.name: tensor for tensor in proto.graph.initializer}
    for name, value in model.state_dict().items():
        if name not in initializers:
            raise ExportError(f"the traced graph has no weight {name}; the exporter renamed it")
        initializers[name].CopyFrom(numpy_helper.from_array(value.contiguous().numpy(), name))
        if value.ndim > 1 and value.numel() >= MIN_ROUNDED:
            steps, scales = split_weight(value)
            if torch.equal(steps * scales, value):
                store_steps(proto.graph, initializers[name], steps.numpy(), scales.numpy())


def store_steps(
    graph: onnx.GraphProto,
    initializer: onnx.TensorProto,
    steps: npt.NDArray[np.int8],
    scales: npt.NDArray[np.float32],
) -> None:
    """Store a kernel in 8 bits; it is expanded to float32 when the model is opened."""
    name = initializer.name
    parts = [f"{name}/steps", f"{name}/scales"]
    initializer.CopyFrom(numpy_helper.from_array(steps, parts[0]))
    graph.initializer.append(numpy_helper.from_array(scales, parts[1]))
    wide = f"{name}/wide"
    nodes = [
        onnx.helper.make_node("Cast", [parts[0]], [wide], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Mul", [wide, parts[1]], [name]),
    ]
    for node in reversed(nodes):
        graph.node.insert(0, node)
