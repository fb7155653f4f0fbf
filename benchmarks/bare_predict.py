"""The least that a prediction from a cold start can cost: numpy, onnxruntime, samples, one run.

Runs the same model file on the same samples as ``emovox predict``, decoded beforehand::

    python benchmarks/bare_predict.py model.onnx samples.npy
"""

import json
import sys

import numpy as np
import onnxruntime as ort


def main() -> None:
    """Run the model on the samples (samples,) and print the probabilities as JSON."""
    model, samples = sys.argv[1:]
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    probabilities = session.run(None, {name: np.load(samples)[None]})[0][0]
    print(json.dumps({"class": int(probabilities.argmax()), "scores": probabilities.tolist()}))


if __name__ == "__main__":
    main()
