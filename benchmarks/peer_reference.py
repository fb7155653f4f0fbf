"""The reference experiment in its own stack: librosa, scikit-image, Keras on TensorFlow.

Runs in ``.venv-peer`` (``benchmarks/make_peer_env.sh``), each command in a fresh process, and
prints one line of JSON with its timings in seconds::

    .venv-peer/bin/python benchmarks/peer_reference.py imports
    .venv-peer/bin/python benchmarks/peer_reference.py features DATA --out features.npz
    .venv-peer/bin/python benchmarks/peer_reference.py train vanilla features.npz --out models
    .venv-peer/bin/python benchmarks/peer_reference.py all DATA --out models

Imports are inside functions because their time is one of the results.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

START_S = time.perf_counter()

# TensorFlow's start-up notices would drown the one line of JSON.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

RATE_HZ = 48_000
ACTORS = ("01", "02", "03", "04")
RECIPES = ("vanilla", "optimized")


def main() -> None:
    """Run one command and print its timings as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("imports", help="import everything the experiment needs")
    features = commands.add_parser("features", help="features of the 240 clips of actors 1-4")
    features.add_argument("data", type=Path)
    features.add_argument("--out", type=Path, default=Path("features.npz"))
    train = commands.add_parser("train", help="train one model on saved features")
    train.add_argument("recipe", choices=RECIPES)
    train.add_argument("features", type=Path)
    train.add_argument("--out", type=Path)
    train.add_argument("--epochs", type=int, default=50)
    everything = commands.add_parser("all", help="from recordings to both trained models saved")
    everything.add_argument("data", type=Path)
    everything.add_argument("--out", type=Path, required=True)
    everything.add_argument("--epochs", type=int, default=50)
    args = parser.parse_args()

    timings: dict[str, Any] = {"command": args.command}
    if args.command == "imports":
        timings |= import_features_stack() | import_training_stack()
    elif args.command == "features":
        timings |= import_features_stack()
        began_s = time.perf_counter()
        values, labels, names = compute_features(args.data)
        timings |= {"clips": len(values), "features_s": since(began_s)}
        import numpy as np

        np.savez(args.out, features=values, labels=labels, names=np.array(names))
    elif args.command == "train":
        timings |= import_training_stack()
        import numpy as np

        saved = np.load(args.features)
        timings |= train_model(
            args.recipe, saved["features"], saved["labels"], args.epochs, args.out
        )
    else:
        timings |= import_features_stack() | import_training_stack()
        began_s = time.perf_counter()
        values, labels, _ = compute_features(args.data)
        timings |= {"clips": len(values), "features_s": since(began_s)}
        for recipe in RECIPES:
            for key, value in train_model(recipe, values, labels, args.epochs, args.out).items():
                timings[f"{recipe}_{key}"] = value
    timings["total_s"] = since(START_S)
    print(json.dumps(timings))


def since(began_s: float) -> float:
    """Return the seconds since a reading of ``time.perf_counter``."""
    return round(time.perf_counter() - began_s, 4)


def import_features_stack() -> dict[str, float]:
    """Import librosa and scikit-image, return the seconds each takes."""
    began_s = time.perf_counter()
    # By name: librosa loads its modules on first use, which would move the cost into the features.
    from librosa import amplitude_to_db, load, stft  # noqa: F401

    librosa_s = since(began_s)
    began_s = time.perf_counter()
    from skimage.transform import resize  # noqa: F401

    return {"import_librosa_s": librosa_s, "import_skimage_s": since(began_s)}


def import_training_stack() -> dict[str, float]:
    """Import scikit-learn's splitter and Keras on TensorFlow, return the seconds each takes."""
    began_s = time.perf_counter()
    from sklearn.model_selection import train_test_split  # noqa: F401

    sklearn_s = since(began_s)
    began_s = time.perf_counter()
    import tensorflow as tf

    # TensorFlow loads Keras on first use.
    _ = tf.keras.layers.Dense
    return {"import_sklearn_s": sklearn_s, "import_tensorflow_s": since(began_s)}


def find_clips(data: Path) -> list[Path]:
    """Return the speech clips of actors 1-4, sorted by actor, then file name."""
    # Modality 03 (audio only), channel 01 (speech).
    clips = [
        path
        for path in data.rglob("03-01-*")
        if path.suffix in {".wav", ".flac"} and path.stem[-2:] in ACTORS
    ]
    if not clips:
        raise SystemExit(f"{data}: no RAVDESS speech clips of actors 1-4 found")
    return sorted(clips, key=lambda path: (path.stem[-2:], path.name))


def samples_to_features(samples: Any) -> Any:
    """Return the 64x64 dB spectrogram of samples at 48 kHz, as float32."""
    from librosa import amplitude_to_db, stft
    from numpy import abs as magnitude
    from skimage.transform import resize

    spectrum = magnitude(stft(samples, n_fft=2048, hop_length=512, window="hann", center=True))
    spectrogram_db = amplitude_to_db(spectrum, ref=1.0, amin=1e-5, top_db=80.0)
    return resize(spectrogram_db, (64, 64), anti_aliasing=True).astype("float32")


def compute_features(data: Path) -> tuple[Any, Any, list[str]]:
    """Return features (clips, 64, 64), labels (clips,) in 0-7, and file names without ending."""
    import numpy as np
    from librosa import load

    clips = find_clips(data)
    features = np.stack([samples_to_features(load(path, sr=RATE_HZ)[0]) for path in clips])
    labels = np.array([int(path.stem.split("-")[2]) - 1 for path in clips])
    return features, labels, [path.stem for path in clips]


def make_model(recipe: str) -> Any:
    """Return the compiled Keras model of a recipe."""
    from tensorflow import keras

    layers = keras.layers
    optimized = recipe == "optimized"
    penalty = keras.regularizers.L2(0.01) if optimized else None
    model = keras.Sequential(
        [
            keras.Input((64, 64, 1)),
            layers.Conv2D(32, 3, activation="relu", kernel_regularizer=penalty),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu", kernel_regularizer=penalty),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu", kernel_regularizer=penalty),
            *([layers.Dropout(0.5)] if optimized else []),
            layers.Dense(8, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.Adam(1e-3) if optimized else keras.optimizers.RMSprop(1e-3)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def make_callbacks(recipe: str) -> list[Any]:
    """Return the Keras callbacks of a recipe."""
    from tensorflow.keras.callbacks import EarlyStopping, ReduceLROnPlateau

    if recipe == "vanilla":
        return []
    return [
        EarlyStopping(monitor="val_loss", patience=5, restore_best_weights=True),
        ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=3, min_lr=1e-6),
    ]


def train_model(
    recipe: str, features: Any, labels: Any, epochs: int, out: Path | None
) -> dict[str, Any]:
    """Train one recipe on the reference split, save it, return timings and test accuracy."""
    import numpy as np
    from sklearn.model_selection import train_test_split
    from tensorflow import keras

    keras.utils.set_random_seed(0)
    train, rest = train_test_split(np.arange(len(labels)), test_size=0.3, random_state=42)
    validation, test = train_test_split(rest, test_size=0.5, random_state=42)
    mean, deviation = features[train].mean(), features[train].std()
    inputs = ((features - mean) / deviation)[..., None]  # (clips, 64, 64, 1)

    began_s = time.perf_counter()
    model = make_model(recipe)
    history = model.fit(
        inputs[train],
        labels[train],
        batch_size=32,
        epochs=epochs,
        validation_data=(inputs[validation], labels[validation]),
        callbacks=make_callbacks(recipe),
        verbose=0,
    )
    train_s = since(began_s)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        model.save(out / f"{recipe}_model.keras")
    _, accuracy = model.evaluate(inputs[test], labels[test], verbose=0)
    return {
        "train_s": train_s,
        "epochs": len(history.history["loss"]),
        "parameters": model.count_params(),
        "test_accuracy": round(float(accuracy), 4),
    }


if __name__ == "__main__":
    main()
