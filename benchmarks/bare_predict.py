"""The minimum cost of a prediction: numpy, onnxruntime, samples, one run.

Runs the same model file on the same samples as ``emovox predict``, decoded beforehand and at the
model's rate, and prints one line of JSON::

    python benchmarks/bare_predict.py model.onnx samples.npy
    python benchmarks/bare_predict.py model.onnx samples.npy --repeats 50

``--repeats`` repeats the run on one thread and adds its median time in milliseconds.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import emovox  # noqa: F401  # before onnxruntime: it switches the usage events off

# isort: split
import numpy as np
import onnxruntime as ort


def main() -> None:
    """Run the model on the samples (samples,) and print the probabilities as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--repeats", type=int, default=0)
    args = parser.parse_args()

    options = ort.SessionOptions()
    if args.repeats:
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
    session = ort.InferenceSession(args.model, options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: np.load(args.samples)[None]}
    probabilities = session.run(None, inputs)[0][0]
    answer = {"class": int(probabilities.argmax()), "scores": probabilities.tolist()}
    times = []
    for _ in range(args.repeats):
        began_s = time.perf_counter()
        session.run(None, inputs)
        times.append(time.perf_counter() - began_s)
    if times:
        answer["clip_ms"] = round(1e3 * statistics.median(times), 4)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
