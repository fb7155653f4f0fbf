"""Pack the weights of an ONNX graph into 4 bits each, for `make_speech_encoder.py`.

The graph still computes in 8 bits: constant nodes unpack the 4 bits into int8 weights, which a
runtime does once, when it opens the file. A packed file is half as large and equally fast.

A weight is one of 16 levels, times the scale of its group (64 inputs of one output), times the
scale of its output, as in QServe (Lin et al. 2024, *QServe: W4A8KV4 Quantization and System
Co-design for Efficient LLM Serving*). Levels are chosen by GPTQ (Frantar et al. 2022): input by
input, and the weights of the remaining inputs compensate for each rounding error. This needs the
second moments of the inputs of each product, computed from unlabelled recordings.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import emovox  # noqa: F401  # before onnxruntime: it switches the usage events off

# isort: split
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

Doubles = npt.NDArray[np.float64]

GROUP_INPUTS = 64
N_STEPS = 63
"""Steps of int8 to either side of 0.

x86 processors without VNNI (AMD before Zen 4, Intel before Cascade Lake) add two products of an
8-bit activation, at most 255, and a weight in 16 bits, which saturate at 32,767: with at most 63
steps a pair's sum fits, and every processor and runtime gives the same result without an option.
"""

DAMPING = 0.01
"""Added to the diagonal of the moments, relative to its mean, as in GPTQ."""

SHARES = np.linspace(0.6, 1.15, 24)
"""Candidate scales of a group, relative to its largest weight; the smallest error wins."""


def make_levels() -> npt.NDArray[np.float32]:
    """Return the 16 levels in [-1, 1], denser around 0, where most of the weights are."""
    steps = np.arange(-8, 8) / 8
    levels = steps + 0.6 * steps**3
    return np.asarray(levels / np.abs(levels).max(), np.float32)


LEVELS = make_levels()


@dataclass(frozen=True, slots=True)
class PackedWeight:
    """A matrix in 4 bits a weight.

    Attributes:
        codes: uint8 ``(inputs, outputs)``, each an index into :data:`LEVELS`.
        group_scales: int8 ``(groups, outputs)``: what a level 1 is in steps of the output's scale.
        output_scales: float16 ``(outputs,)``: one step.
    """

    codes: npt.NDArray[np.uint8]
    group_scales: npt.NDArray[np.int8]
    output_scales: npt.NDArray[np.float16]

    def unpack(self) -> npt.NDArray[np.int8]:
        """Return the matrix that the runtime multiplies by, in steps of the outputs' scales."""
        scales = np.repeat(self.group_scales, len(self.codes) // len(self.group_scales), axis=0)
        return (LEVELS[self.codes] * scales.astype(np.float32)).astype(np.int8)


def gather_moments(
    model: ModelProto, products: Sequence[NodeProto], waveforms: Iterable[npt.NDArray[np.float32]]
) -> dict[str, Doubles]:
    """Run recordings through a float32 graph and return the moments of its products' inputs.

    Args:
        model: One input, ``(1, samples)``.
        products: ``MatMul`` nodes of it, with the weights as second input.
        waveforms: float32 ``(samples,)`` each. Each counts the same, however long it is.

    Returns:
        By name of the weights, ``(inputs, inputs)``: mean products of each two inputs.
    """
    watched = ModelProto.FromString(model.SerializeToString())
    entries = [product.input[0] for product in products]
    outputs = (helper.make_tensor_value_info(e, TensorProto.FLOAT, None) for e in entries)
    watched.graph.output.extend(outputs)
    session = ort.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    (waveform_input,) = session.get_inputs()
    sums: dict[str, Doubles] = {}
    n_waveforms = 0
    for waveform in waveforms:
        n_waveforms += 1
        found = session.run(entries, {waveform_input.name: waveform[np.newaxis]})
        for product, value in zip(products, found, strict=True):
            rows = value.reshape(-1, value.shape[-1])  # (tokens, inputs)
            moment = (rows.T @ rows).astype(np.float64) / len(rows)
            sums[product.input[1]] = sums.get(product.input[1], 0) + moment
    return {name: total / n_waveforms for name, total in sums.items()}


def pack_weight(weight: npt.NDArray[np.float32], moments: Doubles) -> PackedWeight:
    """Pack a matrix into 4 bits with the least change of its products.

    Args:
        weight: ``(inputs, outputs)``.
        moments: ``(inputs, inputs)``: mean products of each two inputs.
    """
    n_inputs = len(weight)
    n_group = math.gcd(n_inputs, GROUP_INPUTS)
    damped = moments + DAMPING * np.trace(moments) / n_inputs * np.eye(n_inputs)
    scales = choose_scales(weight, np.diag(damped), n_group)
    output_scales = (np.abs(scales).max(axis=0) / N_STEPS).astype(np.float16)
    steps = np.rint(scales / output_scales.astype(np.float64)).clip(-N_STEPS, N_STEPS)
    group_scales = np.where(steps == 0, 1, steps).astype(np.int8)
    # The value of each code: (groups, outputs, levels).
    values = np.trunc(group_scales.astype(np.float32)[..., np.newaxis] * LEVELS)
    values = values * output_scales.astype(np.float64)[:, np.newaxis]
    return PackedWeight(choose_codes(weight, damped, values), group_scales, output_scales)


def choose_scales(weight: npt.NDArray[np.float32], importance: Doubles, n_group: int) -> Doubles:
    """Find the group scales with the smallest error of rounding to the nearest level.

    A negative scale turns the levels round, of which one more is below 0 than above.

    Args:
        weight: ``(inputs, outputs)``.
        importance: ``(inputs,)``: by which squared errors are weighted.
        n_group: Inputs of a group.

    Returns:
        ``(groups, outputs)``: what a level 1 stands for.
    """
    groups = weight.reshape(-1, n_group, weight.shape[1]).astype(np.float64)
    importance = importance.reshape(-1, n_group, 1)
    largest = np.maximum(np.abs(groups).max(axis=1), 1e-4)  # (groups, outputs)
    borders = (LEVELS[1:] + LEVELS[:-1]) / 2
    best, least = largest, np.full_like(largest, np.inf)
    for share in (*SHARES, *-SHARES):
        scale = share * largest
        rounded = LEVELS[np.searchsorted(borders, groups / scale[:, np.newaxis])]
        error = (importance * (groups - rounded * scale[:, np.newaxis]) ** 2).sum(axis=1)
        best, least = np.where(error < least, scale, best), np.minimum(error, least)
    return np.asarray(best, np.float64)


def choose_codes(
    weight: npt.NDArray[np.float32], moments: Doubles, values: Doubles
) -> npt.NDArray[np.uint8]:
    """Round a matrix as GPTQ does, the inputs with the most energy first.

    Args:
        weight: ``(inputs, outputs)``.
        moments: ``(inputs, inputs)``, damped.
        values: ``(groups, outputs, levels)``: what each code stands for.

    Returns:
        ``(inputs, outputs)``.
    """
    n_group = len(weight) // len(values)
    order = np.argsort(-np.diag(moments), kind="stable")
    factor = np.linalg.cholesky(np.linalg.inv(moments[np.ix_(order, order)])).T
    left = weight[order].astype(np.float64)
    codes = np.empty(weight.shape, np.uint8)
    for i, place in enumerate(order):
        choices = values[place // n_group]  # (outputs, levels)
        code = np.abs(left[i][:, np.newaxis] - choices).argmin(axis=1)
        codes[place] = code
        chosen = np.take_along_axis(choices, code[:, np.newaxis], axis=1)[:, 0]
        left[i + 1 :] -= np.outer(factor[i, i + 1 :] / factor[i, i], left[i] - chosen)
    return codes


def store_packed(graph: GraphProto, packed: dict[str, PackedWeight]) -> None:
    """Replace int8 matrices, and their scales, by packed ones and the nodes that unpack them.

    Args:
        graph: Its int8 matrices, scales and zero points are called as onnxruntime's quantiser
            calls them: the name of the weights, then ``_quantized``, ``_scale``, ``_zero_point``.
        packed: By name of the weights.
    """
    unpacking = Unpacking()
    for name, matrix in packed.items():
        unpacking.unpack(name, matrix)
    for node in graph.node:
        if node.op_type == "MatMulInteger" and node.input[1].removesuffix("_quantized") in packed:
            del node.input[3:]  # zero points, which are 0 where they are not given
    parts = ("quantized", "scale", "zero_point")
    replaced = {f"{name}_{part}" for name in packed for part in parts}
    kept = [tensor for tensor in graph.initializer if tensor.name not in replaced]
    ordered = [*unpacking.nodes, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *unpacking.tensors])
    graph.node.extend(ordered)


class Unpacking:
    """The nodes and tensors of a graph that unpack matrices.

    A table has, by scale and byte, the two weights that the byte holds. One look-up gives both, and
    in int8, so that opening a file takes little memory.

    Attributes:
        nodes: In an order in which they can run.
        tensors: What they start from.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []
        low_and_high = np.stack([np.tile(LEVELS, 16), np.repeat(LEVELS, 16)])
        # In the order of their bytes: 0 to 127, then -128 to -1.
        scales = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float32)
        pairs = self._add("level_pairs", low_and_high[:, np.newaxis])  # (2, 1, 256 bytes)
        every_scale = self._add("every_scale", scales[:, np.newaxis])
        products = self._apply("Mul", [pairs, every_scale], "scaled_pairs")
        products = self._apply("Cast", [products], "whole_pairs", to=TensorProto.INT8)
        shape = self._add("table_shape", np.array([2, -1]))
        self._table = self._apply("Reshape", [products, shape], "pair_table")
        self._n_bytes = self._add("n_bytes", np.array(256, np.int32))

    def unpack(self, name: str, matrix: PackedWeight) -> None:
        """Add the unpacked matrix ``NAME_quantized`` and its ``NAME_scale``."""
        # A byte holds an input of its group's first half and one of its second.
        codes = matrix.codes.reshape(len(matrix.group_scales), 2, -1, matrix.codes.shape[1])
        packed = self._add(f"{name}_packed", codes[:, 0] | codes[:, 1] << 4)
        scales = self._add(f"{name}_group_scales", matrix.group_scales[:, np.newaxis].view("u1"))
        steps = self._add(f"{name}_output_scales", matrix.output_scales)
        shape = self._add(f"{name}_shape", np.array(matrix.codes.shape))
        columns = self._apply("Cast", [packed], f"{name}_codes", to=TensorProto.INT32)
        rows = self._apply("Cast", [scales], f"{name}_scale_codes", to=TensorProto.INT32)
        rows = self._apply("Mul", [rows, self._n_bytes], f"{name}_rows")
        places = self._apply("Add", [columns, rows], f"{name}_places")
        halves = self._apply("Gather", [self._table, places], f"{name}_halves", axis=1)
        groups = self._apply("Transpose", [halves], f"{name}_grouped", perm=[1, 0, 2, 3])
        self._apply("Reshape", [groups, shape], f"{name}_quantized")
        self._apply("Cast", [steps], f"{name}_scale", to=TensorProto.FLOAT)

    def _add(self, name: str, array: npt.NDArray[np.generic]) -> str:
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _apply(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output
