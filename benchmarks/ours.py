"""Our side of ``peer_reference.py``, through the public functions and on the same clips.

::

    python benchmarks/ours.py imports
    python benchmarks/ours.py features DATA --out features.npz
    python benchmarks/ours.py train vanilla features.npz
    python benchmarks/ours.py all DATA

Each prints one line of JSON with its timings in seconds. ``train`` takes the features that either
side saved, so that theirs, ours and the bare loop can train on the same tensors.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Run one command and print its timings as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("imports")
    features = commands.add_parser("features")
    features.add_argument("data", type=Path)
    features.add_argument("--out", type=Path, required=True)
    train = commands.add_parser("train")
    train.add_argument("recipe")
    train.add_argument("features", type=Path)
    train.add_argument("--epochs", type=int, default=50)
    everything = commands.add_parser("all", help="from recordings to both trained models saved")
    everything.add_argument("data", type=Path)
    everything.add_argument("--epochs", type=int, default=50)
    args = parser.parse_args()

    began_s = time.perf_counter()
    import emovox.corpora.protocols
    import emovox.corpora.ravdess
    import emovox.training.features
    import emovox.training.trainer  # noqa: F401

    timings: dict[str, Any] = {"import_s": since(began_s)}
    if args.command == "features":
        timings |= compute_features(args.data, args.out)
    elif args.command == "train":
        timings |= train_recipe(args.recipe, args.features, args.epochs)
    elif args.command == "all":
        timings |= train_both(args.data, args.epochs)
    print(json.dumps(timings))


def since(began_s: float) -> float:
    """Return the seconds since a reading of ``time.perf_counter``."""
    return round(time.perf_counter() - began_s, 4)


def compute_features(data: Path, out: Path) -> dict[str, Any]:
    """Compute and save the features of the 240 clips of actors 1-4, return the seconds it took."""
    import numpy as np

    from emovox.corpora.locate import find_ravdess
    from emovox.corpora.ravdess import read_ravdess
    from emovox.training.features import ImageCache
    from emovox.training.settings import FrontendSettings

    began_s = time.perf_counter()
    clips = [clip for clip in read_ravdess(find_ravdess(data)) if int(clip.speaker) <= 4]
    computed = ImageCache().load(clips, FrontendSettings())
    features_s = since(began_s)
    np.savez(
        out,
        features=computed.images[:, 0].numpy(),
        labels=computed.classes.numpy(),
        names=np.array([clip.name for clip in clips]),
    )
    return {"clips": len(clips), "features_s": features_s}


def train_recipe(recipe: str, features: Path, epochs: int) -> dict[str, Any]:
    """Train on the reference split, checkpoints and history included, return the seconds."""
    import numpy as np
    import torch
    from sklearn.model_selection import train_test_split

    from emovox.training.features import ImageSet
    from emovox.training.recipe import load_recipe
    from emovox.training.trainer import train_network

    saved = np.load(features)
    images, classes = (
        torch.from_numpy(saved["features"])[:, None],
        torch.from_numpy(saved["labels"]),
    )
    rows, rest = train_test_split(np.arange(len(classes)), test_size=0.3, random_state=42)
    validation_rows, _ = train_test_split(rest, test_size=0.5, random_state=42)
    settings = load_recipe(recipe, [f"training.epochs={epochs}"])
    with tempfile.TemporaryDirectory() as folder:
        began_s = time.perf_counter()
        trained = train_network(
            settings,
            ImageSet(images[rows], classes[rows]),
            ImageSet(images[validation_rows], classes[validation_rows]),
            Path(folder),
        )
        train_s = since(began_s)
    return {"train_s": train_s, "epochs": len(trained.history)}


def train_both(data: Path, epochs: int) -> dict[str, Any]:
    """Train, save, export and test both models on the reference split, return the seconds."""
    from emovox.corpora.locate import find_ravdess
    from emovox.corpora.protocols import make_protocol
    from emovox.corpora.ravdess import read_ravdess
    from emovox.experiment import Watcher, run_fold
    from emovox.training.features import FeatureCache
    from emovox.training.recipe import load_recipe

    (fold,) = make_protocol("reference", read_ravdess(find_ravdess(data))).folds
    features = FeatureCache()
    seconds: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for recipe in ("vanilla", "optimized"):
            began_s = time.perf_counter()
            settings = load_recipe(recipe, [f"training.epochs={epochs}"])
            run_fold(settings, fold, Path(folder) / recipe, features, Watcher())
            seconds[f"{recipe}_s"] = since(began_s)
    return seconds


if __name__ == "__main__":
    main()
