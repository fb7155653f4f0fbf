"""Our side of ``peer_reference.py``, through the public functions and on the same clips.

::

    python benchmarks/ours.py imports
    python benchmarks/ours.py features DATA --out features.npz
    python benchmarks/ours.py train vanilla features.npz
    python benchmarks/ours.py head
    python benchmarks/ours.py embed DATA
    python benchmarks/ours.py clip model.onnx samples.npy
    python benchmarks/ours.py all DATA

Each prints one line of JSON with its timings in seconds. ``train`` takes features saved by
either side, so theirs, ours and the bare loop can train on the same tensors.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

N_EMBEDDED = 20
N_COPIES = 4
N_PREDICTED = 50


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
    head = commands.add_parser("head", help="train the encoder recipe's head on random embeddings")
    head.add_argument("--epochs", type=int, default=30)
    embed = commands.add_parser("embed", help="embed clips and their augmented copies")
    embed.add_argument("data", type=Path)
    clip = commands.add_parser("clip", help="predict decoded samples repeatedly")
    clip.add_argument("model", type=Path)
    clip.add_argument("samples", type=Path)
    clip.add_argument("--no-vad", action="store_true")
    everything = commands.add_parser("all", help="from recordings to both trained models saved")
    everything.add_argument("data", type=Path)
    everything.add_argument("--epochs", type=int, default=50)
    args = parser.parse_args()

    if args.command == "clip":
        # Prediction needs no training imports.
        print(json.dumps(predict_clip(args.model, args.samples, vad=not args.no_vad)))
        return

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
    elif args.command == "head":
        timings |= train_head(args.epochs)
    elif args.command == "embed":
        timings |= embed_clips(args.data)
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
    from emovox.recipes.settings import FrontendSettings
    from emovox.training.features import ImageCache

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

    from emovox.recipes.recipe import load_recipe
    from emovox.training.features import ImageSet
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


def train_head(epochs: int) -> dict[str, Any]:
    """Train the encoder recipe on the bare loop's tensors, return the seconds it took."""
    from bare_head import make_clips
    from emovox.recipes.recipe import load_recipe
    from emovox.training.embeddings import EmbeddingSet
    from emovox.training.trainer import train_network

    def train(n_epochs: int) -> int:
        settings = load_recipe("encoder", [f"training.epochs={n_epochs}"])
        with tempfile.TemporaryDirectory() as folder:
            return len(train_network(settings, train_set, validation_set, Path(folder)).history)

    n_rows = 1 + load_recipe("encoder").augmentation.copies
    train_set, validation_set = (EmbeddingSet(*clips) for clips in make_clips(n_rows))
    train(1)  # PyTorch loads parts of itself with the first optimiser
    began_s = time.perf_counter()
    n_epochs = train(epochs)
    return {"train_s": since(began_s), "epochs": n_epochs}


def embed_clips(data: Path) -> dict[str, Any]:
    """Return the mean milliseconds to decode a clip, to perturb it and to embed it."""
    import numpy as np

    from emovox.audio.load import load_audio
    from emovox.corpora.locate import find_ravdess
    from emovox.corpora.ravdess import read_ravdess
    from emovox.recipes.recipe import load_recipe
    from emovox.training.augment import perturb
    from emovox.training.speech_encoder import SpeechEncoder

    encoder, settings = SpeechEncoder(), load_recipe("encoder").augmentation
    clips = read_ravdess(find_ravdess(data))
    paths = [clip.path for clip in clips[:: len(clips) // N_EMBEDDED]]
    encoder.embed(load_audio(paths[0], encoder.sample_rate_hz).samples)
    began_s = time.perf_counter()
    recordings = [load_audio(path, encoder.sample_rate_hz).samples for path in paths]
    decode_s = since(began_s)
    began_s = time.perf_counter()
    copies = [
        perturb(samples, encoder.sample_rate_hz, settings, np.random.default_rng([copy, index]))
        for index, samples in enumerate(recordings)
        for copy in range(N_COPIES)
    ]
    disturb_s = since(began_s)
    began_s = time.perf_counter()
    for samples in (*recordings, *copies):
        encoder.embed(samples)
    return {
        "decode_ms": 1e3 * decode_s / len(recordings),
        "disturb_ms": 1e3 * disturb_s / len(copies),
        "embed_ms": 1e3 * since(began_s) / (len(recordings) + len(copies)),
    }


def predict_clip(model: Path, samples: Path, *, vad: bool) -> dict[str, float]:
    """Predict the same samples, at the model's rate, and return the median milliseconds."""
    import numpy as np

    from emovox.recognition.recognizer import Recognizer

    recognizer, waveform = Recognizer.load(model, vad=vad), np.load(samples)
    recognizer.predict(waveform, rate_hz=recognizer.info.sample_rate_hz)
    times = []
    for _ in range(N_PREDICTED):
        began_s = time.perf_counter()
        recognizer.predict(waveform, rate_hz=recognizer.info.sample_rate_hz)
        times.append(time.perf_counter() - began_s)
    return {"clip_ms": round(1e3 * statistics.median(times), 4)}


def train_both(data: Path, epochs: int) -> dict[str, Any]:
    """Train, save, export and test both models on the reference split, return the seconds."""
    from emovox.corpora.locate import find_ravdess
    from emovox.corpora.protocols import make_protocol
    from emovox.corpora.ravdess import read_ravdess
    from emovox.experiments.train_and_test import run_fold
    from emovox.labels import EMOTIONS
    from emovox.progress import Watcher
    from emovox.recipes.recipe import load_recipe
    from emovox.training.features import FeatureCache

    (fold,) = make_protocol("reference", read_ravdess(find_ravdess(data))).folds
    features = FeatureCache()
    seconds: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for recipe in ("vanilla", "optimized"):
            began_s = time.perf_counter()
            settings = load_recipe(recipe, [f"training.epochs={epochs}"])
            run_fold(settings, fold, EMOTIONS, Path(folder) / recipe, features, Watcher())
            seconds[f"{recipe}_s"] = since(began_s)
    return seconds


if __name__ == "__main__":
    main()
