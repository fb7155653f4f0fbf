"""Write tests/training/golden_features.npz, features of known signals by librosa and scikit-image.

Run in the peer's environment, from the root of the repository::

    .venv-peer/bin/python benchmarks/make_golden_features.py

The test makes the same signals (``tests/training/golden_signals.py``) and compares our features
with these. For each signal the file contains its feature (64, 64) float32, and
``samples_sum_NAME``, the sum of its absolute samples: if that differs, the signal has changed, not
the feature.
"""

import sys
from pathlib import Path

import numpy as np

from peer_reference import samples_to_features

TESTS = Path(__file__).parents[1] / "tests" / "training"
sys.path.insert(0, str(TESTS))

from golden_signals import make_golden_signals  # noqa: E402


def main() -> None:
    """Compute the peer's feature of each golden signal and save them all."""
    arrays = {}
    for name, samples in make_golden_signals().items():
        feature = samples_to_features(samples)
        arrays[name] = feature
        arrays[f"samples_sum_{name}"] = np.abs(samples).sum(dtype=np.float64)
        print(f"{name}: {len(samples)} samples, {feature.min():.2f} to {feature.max():.2f} dB")
    np.savez_compressed(TESTS / "golden_features.npz", **arrays)


if __name__ == "__main__":
    main()
