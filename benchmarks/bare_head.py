"""A bare PyTorch loop of the encoder recipe's head, the baseline for our trainer.

Reads sizes and learning rate from the recipe. Trains on random tensors with the shape of a fold of
``emobox-6``; their values do not affect the time. Prints one line of JSON::

    python benchmarks/bare_head.py
    python benchmarks/bare_head.py --validate

``--validate`` adds one pass over the validation clips after each epoch. ``ours.py head`` trains the
same head on the same tensors.
"""

import argparse
import json
import time
import tomllib
from pathlib import Path
from typing import Any

import torch
from torch import nn

RECIPE = Path(__file__).parents[1] / "src" / "emovox" / "recipes" / "encoder.toml"
N_TRAIN, N_VALIDATION, N_FEATURES, N_CLASSES = 960, 240, 2_304, 8

Clips = tuple[torch.Tensor, torch.Tensor]


def main() -> None:
    """Train the head and print the seconds it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--validate", action="store_true")
    args = parser.parse_args()

    recipe = tomllib.loads(RECIPE.read_text(encoding="utf-8"))
    train, validation = make_clips(1 + recipe["augmentation"]["copies"])
    train_head(recipe, train, None, 1)  # PyTorch loads parts of itself with the first optimiser
    began_s = time.perf_counter()
    loss = train_head(recipe, train, validation if args.validate else None, args.epochs)
    train_s = round(time.perf_counter() - began_s, 4)
    print(json.dumps({"train_s": train_s, "epochs": args.epochs, "last_loss": round(loss, 6)}))


def make_clips(n_rows: int) -> tuple[Clips, Clips]:
    """Make embeddings (clips, rows, features) and classes (clips,) to train and to validate."""
    generator = torch.Generator().manual_seed(0)
    return make_set(N_TRAIN, n_rows, generator), make_set(N_VALIDATION, 1, generator)


def make_set(n_clips: int, n_rows: int, generator: torch.Generator) -> Clips:
    """Draw embeddings (clips, rows, features), already standardised, and classes (clips,)."""
    embeddings = torch.randn(n_clips, n_rows, N_FEATURES, generator=generator)
    return embeddings, torch.randint(N_CLASSES, (n_clips,), generator=generator)


class Head(nn.Module):
    """The recipe's ensemble of small heads, each with one hidden layer."""

    def __init__(self, recipe: dict[str, Any]) -> None:
        super().__init__()
        network, dropout = recipe["network"], recipe["regularization"]["dropout"]
        (hidden,), members = network["hidden_units"], network["members"]
        self.layers = nn.Sequential(
            nn.Dropout(network["input_dropout"]),
            nn.Linear(N_FEATURES, members * hidden),
            nn.Unflatten(1, (members, hidden)),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.weight = nn.Parameter(torch.randn(members, hidden, N_CLASSES) / hidden**0.5)
        self.bias = nn.Parameter(torch.zeros(members, N_CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the members' logits, (batch, members, classes)."""
        return torch.einsum("bmi,mio->bmo", self.layers(x), self.weight) + self.bias


def train_head(
    recipe: dict[str, Any], train: Clips, validation: Clips | None, epochs: int
) -> float:
    """Train on one row of each clip an epoch, return the last batch's loss."""
    settings = recipe["training"]
    torch.manual_seed(0)
    model = Head(recipe)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    loss_function = nn.CrossEntropyLoss(label_smoothing=settings["label_smoothing"])
    embeddings, classes = train
    n_clips, n_rows, _ = embeddings.shape
    loss = torch.tensor(0.0)
    for _ in range(epochs):
        model.train()
        rows = torch.randint(n_rows, (n_clips,))
        for batch in torch.randperm(n_clips).split(settings["batch_size"]):
            optimizer.zero_grad()
            logits = model(embeddings[batch, rows[batch]])  # (batch, members, classes)
            targets = classes[batch][:, None].expand(logits.shape[:2])
            loss = loss_function(logits.flatten(0, 1), targets.flatten())
            loss.backward()
            optimizer.step()
        schedule.step()
        if validation is not None:
            model.eval()
            with torch.inference_mode():
                loss_function(model(validation[0][:, 0]).mean(1), validation[1])
    return loss.item()


if __name__ == "__main__":
    main()
