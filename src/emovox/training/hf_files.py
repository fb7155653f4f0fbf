"""Find, download, check and hash the files of a Hugging Face speech encoder."""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from emovox.errors import EncoderError
from emovox.recipes.settings import HuggingFaceSettings

MODEL_TYPES = ("wav2vec2", "hubert", "wavlm", "whisper")
SAMPLE_RATE_HZ = 16_000
# Whisper repositories contain the same weights in several formats; only these are loaded.
WEIGHTS = ("model.safetensors", "model-*-of-*.safetensors")
PATTERNS = ("config.json", "preprocessor_config.json", "model.safetensors.index.json", *WEIGHTS)
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
FORMAT_VERSION = 1
"""Increment when the same files produce different embeddings, so old ones are not read."""


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """A speech encoder on disk.

    Attributes:
        folder: Folder of its files.
        model_type: One of ``MODEL_TYPES``.
        n_blocks: Number of transformer blocks.
        width: Dimension of a hidden state.
        layers: Blocks after which hidden states are taken, from 1.
        normalize: Whether it expects waveforms of zero mean and unit variance.
        digest: SHA-256 of everything that an embedding depends on.
    """

    folder: Path
    model_type: str
    n_blocks: int
    width: int
    layers: tuple[int, ...]
    normalize: bool
    digest: str

    @property
    def n_features(self) -> int:
        """Length of an embedding: mean and standard deviation after each layer."""
        return 2 * self.width * len(self.layers)


def find_encoder_files(settings: HuggingFaceSettings) -> EncoderFiles:
    """Find an encoder's files, download missing ones, and check them.

    Args:
        settings: The encoder's name, revision and layers.

    Returns:
        The encoder's properties, without loading its weights.

    Raises:
        EncoderError: The encoder cannot be obtained, is not a supported speech encoder, or lacks
            safetensors weights or the requested layers.
    """
    folder = find_folder(settings)
    name = settings.name
    config = read_json(folder / "config.json", name)
    model_type = config.get("model_type")
    if model_type not in MODEL_TYPES:
        raise EncoderError(
            f"{name} is a model of type {model_type!r}; expected a speech encoder of type "
            f"{', '.join(MODEL_TYPES)}"
        )
    weights = sorted(path for pattern in WEIGHTS for path in folder.glob(pattern))
    if not weights:
        raise EncoderError(
            f"{name} has no safetensors weights (model.safetensors), and weights that are pickles "
            "are not loaded: they can run any code. Name a revision that has them, as in "
            'frontend.revision=refs/pr/1 where the hub lists "Adding `safetensors` variant of this '
            'model" as its first pull request'
        )
    preprocessor_path = folder / "preprocessor_config.json"
    preprocessor = read_json(preprocessor_path, name) if preprocessor_path.exists() else {}
    rate_hz = preprocessor.get("sampling_rate", SAMPLE_RATE_HZ)
    if rate_hz != SAMPLE_RATE_HZ:
        raise EncoderError(f"{name} expects {rate_hz} Hz; use an encoder for 16000 Hz")
    whisper = model_type == "whisper"
    n_blocks = int(config["encoder_layers" if whisper else "num_hidden_layers"])
    layers = choose_layers(settings, n_blocks)
    digest = hashlib.sha256(f"{FORMAT_VERSION} {layers}".encode())
    for path in (folder / "config.json", preprocessor_path, *weights):
        if path.exists():
            stat = path.stat()
            digest.update(hash_file(path, stat.st_size, stat.st_mtime_ns))
    return EncoderFiles(
        folder=folder,
        model_type=model_type,
        n_blocks=n_blocks,
        width=int(config["d_model" if whisper else "hidden_size"]),
        layers=layers,
        normalize=not whisper and bool(preprocessor.get("do_normalize", True)),
        digest=digest.hexdigest(),
    )


def choose_layers(settings: HuggingFaceSettings, n_blocks: int) -> tuple[int, ...]:
    """Return a recipe's layers; by default those at a third, a half and two thirds."""
    if max(settings.layers, default=1) > n_blocks:
        raise EncoderError(
            f"{settings.name} has {n_blocks} layers; found frontend.layers = "
            f"{list(settings.layers)}, expected numbers from 1 to {n_blocks}"
        )
    middle = {max(1, round(n_blocks * share)) for share in (1 / 3, 1 / 2, 2 / 3)}
    return settings.layers or tuple(sorted(middle))


def find_folder(settings: HuggingFaceSettings) -> Path:
    """Return the local folder of an encoder, downloading a name on the hub."""
    folder = Path(settings.name).expanduser()
    if folder.is_dir():
        if settings.revision:
            raise EncoderError(
                f"{settings.name} is a folder, and frontend.revision {settings.revision!r} is for "
                "names on the hub; leave it out"
            )
        return folder.absolute()
    if not HUB_NAME.fullmatch(settings.name):
        raise EncoderError(
            f"no folder {settings.name!r}; expected a folder with config.json and "
            "model.safetensors, or a name on the Hugging Face hub such as facebook/wav2vec2-base"
        )
    return download_encoder(settings.name, settings.revision)


# Once per process: if a branch moves, the encoder must not change within a run.
@lru_cache(maxsize=8)
def download_encoder(name: str, revision: str) -> Path:
    """Get an encoder's files from the hub or its cache, and return their folder."""
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ModuleNotFoundError as error:
        raise explain_missing(error) from None
    at = f" at revision {revision!r}" if revision else ""
    try:
        folder = huggingface_hub.snapshot_download(
            name, revision=revision or None, allow_patterns=list(PATTERNS)
        )
    except errors.LocalEntryNotFoundError:
        raise EncoderError(
            f"{name}{at} is not in the cache of the Hugging Face hub, which cannot be reached; "
            "go online, or download it elsewhere and name its folder as hf:./FOLDER"
        ) from None
    except errors.RevisionNotFoundError:
        raise EncoderError(
            f"{name} has no revision {revision!r}; see its files on the hub for those it has"
        ) from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        raise EncoderError(
            f"no model {name!r} on the Hugging Face hub, or it is private; check the spelling, or "
            "log in with `hf auth login`"
        ) from None
    except (errors.HfHubHTTPError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise EncoderError(f"{name}{at} cannot be downloaded ({reason}); try again") from None
    return Path(folder)


def explain_missing(error: ModuleNotFoundError) -> EncoderError:
    """Return an error that says how to install a missing package."""
    return EncoderError(
        f"front end 'hf' needs the package {error.name!r}, which is not installed; "
        "run: pip install 'emovox[hf]'"
    )


def read_json(path: Path, name: str) -> dict[str, Any]:
    """Read a configuration file of an encoder."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"{name}: cannot read {path.name} ({error}); expected the files of a model as "
            "transformers' save_pretrained writes them"
        ) from None
    if not isinstance(values, dict):
        raise EncoderError(f"{name}: {path.name} holds no table; expected a model's settings")
    return values


@lru_cache(maxsize=64)
def hash_file(path: Path, size: int, mtime_ns: int) -> bytes:  # noqa: ARG001
    """Return the SHA-256 of a file, recomputed only if its size or time changed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
