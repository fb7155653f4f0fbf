"""A bare PyTorch loop of the vanilla model, the baseline for our trainer.

Reads the features that ``peer_reference.py features`` saved, prints one line of JSON::

    python benchmarks/bare_loop.py features.npz
    python benchmarks/bare_loop.py features.npz --validate

``--validate`` adds one pass over the validation clips after each epoch, as a real
trainer has to do and Keras does too.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import nn

BATCH_SIZE = 32


def main() -> None:
    """Train the vanilla model and print the seconds it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("features", type=Path)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--validate", action="store_true")
    args = parser.parse_args()

    torch.manual_seed(0)
    saved = np.load(args.features)
    features, labels = saved["features"], torch.from_numpy(saved["labels"])
    train, rest = train_test_split(np.arange(len(labels)), test_size=0.3, random_state=42)
    validation, _ = train_test_split(rest, test_size=0.5, random_state=42)
    features = (features - features[train].mean()) / features[train].std()
    inputs = torch.from_numpy(features)[:, None]  # (clips, 1, 64, 64)

    began_s = time.perf_counter()
    loss = train_vanilla(
        (inputs[train], labels[train]),
        (inputs[validation], labels[validation]) if args.validate else None,
        args.epochs,
    )
    train_s = round(time.perf_counter() - began_s, 4)
    print(json.dumps({"train_s": train_s, "epochs": args.epochs, "last_loss": round(loss, 6)}))


def train_vanilla(
    train: tuple[torch.Tensor, torch.Tensor],
    validation: tuple[torch.Tensor, torch.Tensor] | None,
    epochs: int,
) -> float:
    """Train on inputs (clips, 1, 64, 64) and labels (clips,), return the last batch's loss."""
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),  # (batch, 64 * 14 * 14)
        nn.Linear(12_544, 128),
        nn.ReLU(),
        nn.Linear(128, 8),
    )
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs, labels = train[0].contiguous(memory_format=torch.channels_last), train[1]
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)
    loss_function = nn.CrossEntropyLoss()
    loss = torch.tensor(0.0)
    for _ in range(epochs):
        for batch in torch.randperm(len(inputs)).split(BATCH_SIZE):
            optimizer.zero_grad()
            loss = loss_function(model(inputs[batch]), labels[batch])
            loss.backward()
            optimizer.step()
        if validation is not None:
            with torch.inference_mode():
                for values, wanted in zip(
                    validation[0].split(BATCH_SIZE), validation[1].split(BATCH_SIZE), strict=True
                ):
                    loss_function(model(values), wanted)
    return loss.item()


if __name__ == "__main__":
    main()
