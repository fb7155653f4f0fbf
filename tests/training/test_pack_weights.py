"""How weights are put into 4 bits, and that a runtime takes them out again as meant."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SCRIPT = Path(__file__).parents[2] / "scripts" / "pack_weights.py"
Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pack_weights", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_layer(n_inputs: int = 128, n_outputs: int = 32) -> tuple[NDArray[np.float32], Array]:
    """Make weights, and inputs that go together as those of a network do."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(n_inputs, n_outputs)) * rng.uniform(0.01, 0.1, n_outputs)
    causes = rng.normal(size=(2_000, n_inputs // 8)) @ rng.normal(size=(n_inputs // 8, n_inputs))
    return weight.astype(np.float32), causes + 0.3 * rng.normal(size=causes.shape)


def restore(packed: object) -> Array:
    """Return the weights that a packed matrix stands for."""
    unpacked, scales = packed.unpack(), packed.output_scales  # type: ignore[attr-defined]
    return np.asarray(unpacked * scales.astype(np.float64))


def measure_error(weight: NDArray[np.float32], restored: Array, inputs: Array) -> float:
    """Return the energy that the products lose or gain, relative to their own."""
    wrong, right = inputs @ (weight - restored), inputs @ weight
    return float((wrong**2).sum() / (right**2).sum())


def test_levels_are_sixteen_and_one_is_zero(script: ModuleType) -> None:
    levels = script.LEVELS
    assert (levels.shape, levels.dtype.name) == ((16,), "float32")
    assert (levels.min(), levels[8]) == (-1, 0)
    np.testing.assert_allclose(levels[9:], -levels[7:0:-1], rtol=0, atol=0)
    # -1/8 of the way is 1/8 + 0.6 / 512 of 1 + 0.6.
    assert levels[7] == pytest.approx(-(0.125 + 0.6 / 512) / 1.6)
    steps = np.diff(levels)
    assert (steps > 0).all()
    assert steps[7] < 0.5 * steps[0]


def test_products_change_by_far_less_than_by_rounding_each_weight(script: ModuleType) -> None:
    weight, inputs = make_layer()
    moments = inputs.T @ inputs / len(inputs)
    found = measure_error(weight, restore(script.pack_weight(weight, moments)), inputs)
    # Without moments every input counts the same, and each weight takes the nearest level.
    alone = measure_error(weight, restore(script.pack_weight(weight, np.eye(128))), inputs)
    assert 0.002 < alone < 0.02
    assert found < alone / 4


def test_each_weight_is_near_where_inputs_have_nothing_in_common(script: ModuleType) -> None:
    weight, _ = make_layer()
    packed = script.pack_weight(weight, np.eye(128))
    restored = restore(packed)
    assert (packed.codes.shape, packed.codes.dtype.name) == ((128, 32), "uint8")
    assert (packed.group_scales.shape, packed.group_scales.dtype.name) == ((2, 32), "int8")
    assert packed.codes.max() == 15
    assert (packed.group_scales != 0).all()
    largest = np.abs(weight).reshape(2, 64, 32).max(axis=1).repeat(64, axis=0)
    # Half of the widest gap, and the fifth of the largest weight that the last level may leave.
    assert (np.abs(weight - restored) / largest).max() < 0.3
    assert np.corrcoef(weight.ravel(), restored.ravel())[0, 1] > 0.995


@pytest.mark.parametrize("n_inputs", [240, 384, 1152])
def test_groups_divide_any_width_of_the_encoder(script: ModuleType, n_inputs: int) -> None:
    weight = np.random.default_rng(1).normal(size=(n_inputs, 4)).astype(np.float32)
    packed = script.pack_weight(weight, np.eye(n_inputs))
    n_group = 16 if n_inputs == 240 else 64
    assert len(packed.group_scales) == n_inputs / n_group
    assert packed.unpack().shape == (n_inputs, 4)


def test_dead_inputs_and_outputs_do_no_harm(script: ModuleType) -> None:
    weight, inputs = make_layer()
    weight[:, 3] = 0
    weight[:64, 5] = 0
    inputs[:, 7] = 0
    packed = script.pack_weight(weight, inputs.T @ inputs / len(inputs))
    restored = restore(packed)
    assert np.isfinite(restored).all()
    assert np.abs(restored[:, 3]).max() < 1e-4
    assert (packed.output_scales > 0).all()
    assert measure_error(weight, restored, inputs) < 0.005


def test_moments_are_those_of_what_enters_each_product(script: ModuleType) -> None:
    weight = np.random.default_rng(2).normal(size=(2, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["sound", "shape"], ["pairs"]),
        helper.make_node("MatMul", ["pairs", "weight"], ["product"]),
    ]
    model = make_model(
        nodes,
        [helper.make_tensor_value_info("sound", TensorProto.FLOAT, [1, None])],
        helper.make_tensor_value_info("product", TensorProto.FLOAT, None),
        {"weight": weight, "shape": np.array([-1, 2])},
    )
    waveforms = [np.array([1, 2], np.float32), np.array([3, 0, 0, 1], np.float32)]
    moments = script.gather_moments(model, nodes[1:], waveforms)
    # The mean of [[1, 2], [2, 4]] and of half of [[9, 0], [0, 1]]: each recording counts the same.
    np.testing.assert_allclose(moments["weight"], [[2.75, 1], [1, 2.25]])


def make_model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    output: onnx.ValueInfoProto,
    arrays: dict[str, NDArray[np.generic]],
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "test", inputs, [output], tensors)
    opset = helper.make_opsetid("", 20)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9)


def test_the_runtime_unpacks_them_once_when_it_opens_the_file(
    script: ModuleType, tmp_path: Path
) -> None:
    weight, inputs = make_layer()
    packed = script.pack_weight(weight, inputs.T @ inputs)
    arrays: dict[str, NDArray[np.generic]] = {
        "weight_quantized": np.zeros(weight.shape, np.int8),
        "weight_scale": np.zeros(32, np.float32),
        "weight_zero_point": np.zeros(32, np.int8),
        "nought": np.array(0, np.uint8),
    }
    entries = ["rows", "weight_quantized", "nought", "weight_zero_point"]
    model = make_model(
        [helper.make_node("MatMulInteger", entries, ["product"])],
        [helper.make_tensor_value_info("rows", TensorProto.UINT8, [None, 128])],
        helper.make_tensor_value_info("product", TensorProto.INT32, [None, 32]),
        arrays,
    )
    script.store_packed(model.graph, {"weight": packed})
    onnx.checker.check_model(model, full_check=True)
    sizes = {t.name: len(t.raw_data) for t in model.graph.initializer}
    assert sizes["weight_packed"] == 128 * 32 / 2
    assert not set(sizes) & set(arrays) - {"nought"}
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "opened.onnx")
    session = ort.InferenceSession(model.SerializeToString(), options)
    (product,) = session.run(None, {"rows": np.eye(128, dtype=np.uint8)})
    assert np.array_equal(product, packed.unpack())
    assert len(np.unique(product)) > 50
    opened = onnx.load(options.optimized_model_filepath).graph
    assert [node.op_type for node in opened.node] == ["MatMulInteger"]
