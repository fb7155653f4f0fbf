"""Checkpoints: one file, without pickle, with everything needed to resume training."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emovox.errors import RunError
from emovox.progress import Epoch
from emovox.training.networks import LayeredNetwork
from emovox.training.tensor_file import load_tensors, save_tensors


@dataclass(slots=True)
class Progress:
    """Progress of a training between two epochs.

    Attributes:
        learning_rate: Learning rate of the next epoch.
        best_loss: Lowest validation loss so far.
        best_epoch: Epoch with the lowest validation loss.
        plateau_loss: Reference loss of the plateau schedule.
        plateau_wait: Epochs since the loss last improved on ``plateau_loss``.
        stopped: Whether training has stopped.
        history: Completed epochs.
    """

    learning_rate: float
    best_loss: float = float("inf")
    best_epoch: int = 0
    plateau_loss: float = float("inf")
    plateau_wait: int = 0
    stopped: bool = False
    history: list[Epoch] = field(default_factory=list)


@dataclass(slots=True)
class TrainingState:
    """Everything that changes while a network trains."""

    network: LayeredNetwork
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    progress: Progress
    best_weights: dict[str, Tensor]

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights are kept unless a better one follows."""
        return self.progress.best_epoch if self.best_weights else len(self.progress.history)


def save_checkpoint(path: Path, state: TrainingState, fingerprint: str) -> None:
    """Write the training state atomically.

    Args:
        path: The checkpoint file.
        state: The state to save.
        fingerprint: Identifies the recipe, clips and PyTorch version that the state belongs to.
    """
    tensors = {f"weights.{k}": v for k, v in state.network.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in state.best_weights.items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        for key, value in values.items():
            tensors[f"optimizer.{index}.{key}"] = value
    tensors["generator"] = state.generator.get_state()
    groups = [
        {k: v for k, v in group.items() if k != "params"} for group in state.optimizer.param_groups
    ]
    about = {
        "fingerprint": fingerprint,
        "progress": asdict(state.progress),
        "groups": groups,
    }
    save_tensors(path, tensors, about)


def load_checkpoint(path: Path, state: TrainingState, fingerprint: str) -> None:
    """Restore a saved state into ``state``.

    Raises:
        RunError: The file is damaged, or belongs to a different recipe, data or PyTorch.
    """
    try:
        tensors, about = load_tensors(path)
    except RunError as error:
        raise RunError(f"{error}; delete this checkpoint to start over") from None
    if not {"fingerprint", "progress", "groups"} <= about.keys():
        raise RunError(f"{path}: found no checkpoint; delete it to start over")
    if about["fingerprint"] != fingerprint:
        raise RunError(
            f"{path} belongs to another recipe, other clips or another version of PyTorch; "
            "resume with those that the run was started with, or train into a new folder"
        )
    try:
        restore_state(state, tensors, about)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(
            f"{path}: does not fit the network ({reason}); delete this checkpoint to start over"
        ) from None


def restore_state(state: TrainingState, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Put the content of a checkpoint into ``state``."""
    state.network.load_state_dict(select_prefix(tensors, "weights."))
    state.best_weights = select_prefix(tensors, "best.")
    states: dict[int, dict[str, Tensor]] = {}
    parameters = list(state.network.parameters())
    for name, value in select_prefix(tensors, "optimizer.").items():
        index, _, key = name.partition(".")
        states.setdefault(int(index), {})[key] = match_layout(value, parameters[int(index)])
    groups: list[dict[str, Any]] = about["groups"]
    for group, now in zip(groups, state.optimizer.state_dict()["param_groups"], strict=True):
        group["params"] = now["params"]
    state.optimizer.load_state_dict({"state": states, "param_groups": groups})
    state.generator.set_state(tensors["generator"])
    progress = about["progress"]
    history = [Epoch(**row) for row in progress.pop("history")]
    state.progress = Progress(**progress, history=history)


def select_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors with a prefix, under names without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def match_layout(value: Tensor, parameter: Tensor) -> Tensor:
    """Return the values in the parameter's memory layout, as fused optimisers ignore strides."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
