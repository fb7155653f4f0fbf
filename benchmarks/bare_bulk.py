"""A bare loop of soundfile + soxr + onnxruntime over a folder, on one core.

The baseline for bulk prediction. Prints one line of JSON::

    python benchmarks/bare_bulk.py model.onnx FOLDER
"""

import argparse
import json
import time
from pathlib import Path

import emovox  # noqa: F401  # before onnxruntime: it switches the usage events off

# isort: split
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import soundfile
import soxr

SUFFIXES = {".wav", ".flac"}


def main() -> None:
    """Predict each recording below a folder and print how many there were and how long it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(args.model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rate_hz = int(session.get_modelmeta().custom_metadata_map["emovox.sample_rate_hz"])
    paths = sorted(path for path in args.folder.rglob("*") if path.suffix in SUFFIXES)
    classes = [0] * len(session.run(None, {name: read_samples(paths[0], rate_hz)[None]})[0][0])
    began_s = time.perf_counter()
    for path in paths:
        samples = read_samples(path, rate_hz)
        probabilities = session.run(None, {name: samples[None]})[0][0]
        classes[int(probabilities.argmax())] += 1
    loop_s = round(time.perf_counter() - began_s, 4)
    print(json.dumps({"clips": len(paths), "loop_s": loop_s, "classes": classes}))


def read_samples(path: Path, rate_hz: int) -> npt.NDArray[np.float32]:
    """Return the recording's samples (samples,), mono float32 at the requested rate."""
    samples, file_rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    if file_rate_hz != rate_hz:
        mono = soxr.resample(mono, file_rate_hz, rate_hz)
    return np.asarray(mono, np.float32)


if __name__ == "__main__":
    main()
