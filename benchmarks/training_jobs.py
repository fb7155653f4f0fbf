"""Repeat the reference experiment in several processes, or in one with several threads.

    python benchmarks/training_jobs.py OUT --jobs 2
    python benchmarks/training_jobs.py OUT --threads 2

The second is how emovox trained before it had jobs: one fold after another, and each of PyTorch's
operations split between all threads. ``--quick`` trains less.
"""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import torch
import typer

from emovox import FeatureCache, load_recipe
from emovox.experiments.reproduce import PROTOCOLS, reproduce_reference
from emovox.recipes.recipe import Recipe
from emovox.training.trainer import train_network

QUICK = ("training.epochs=10", "augmentation.copies=1")


def main(
    out: Path,
    data: Path | None = None,
    jobs: Annotated[int, typer.Option(min=1)] = 1,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    quick: bool = False,
) -> None:
    """Train and test both of the experiment's protocols in OUT, embeddings included."""
    os.environ["EMOVOX_CACHE"] = str(out / "cache")
    replaced: dict[str, Any] = {}
    if quick:
        replaced["reproduce.load_recipe"] = load_quick
        replaced["reproduce.N_SEEDS"] = {"reference": 2}
    if threads > 1:
        torch.set_num_threads(threads)
        # The function without its decorator, which restricts it to one thread.
        several: Any = train_network
        replaced["train_and_test.train_network"] = several.__wrapped__
        replaced["reproduce.FeatureCache"] = lambda _: FeatureCache(threads)
    protocols = PROTOCOLS[:1] if quick else PROTOCOLS
    with ExitStack() as stack:
        for name, other in replaced.items():
            stack.enter_context(patch(f"emovox.experiments.{name}", other))
        for _ in reproduce_reference(out, data, protocols=protocols, jobs=jobs):
            pass


def load_quick(name: str, changes: list[str]) -> Recipe:
    """Load a recipe with less work to do."""
    copies = QUICK if name == "encoder" else QUICK[:1]
    return load_recipe(name, [*changes, *copies])


if __name__ == "__main__":
    typer.run(main)
