"""Tensors in a safetensors file, without pickle, whose SHA-256 proves that it is whole.

The file begins with one metadata entry: the SHA-256 of all other bytes, then JSON.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from emovox.errors import RunError
from emovox.files import replace_file

# A single entry, because safetensors writes several in an order that varies between runs.
_KEY = "emovox"
_BEFORE = f'{{"__metadata__":{{"{_KEY}":"'.encode()
_START = 8 + len(_BEFORE)
"""Position of the SHA-256: after the length of the header."""
_END = _START + 64


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and a description atomically.

    Args:
        path: The file to write.
        tensors: Tensors by name.
        about: The description, as JSON types.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    content = bytearray(save(contiguous, {_KEY: "0" * 64 + json.dumps(about)}))
    content[_START:_END] = _compute_digest(content).encode()
    with replace_file(path) as part:
        part.write_bytes(content)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the description in a file of ``save_tensors``.

    Raises:
        RunError: The file cannot be read, is another kind of file, or has changed since it was
            written; the message ends with the reason.
    """
    try:
        content = path.read_bytes()
        if content[8:_START] != _BEFORE:
            raise ValueError("not a safetensors file with an emovox digest")
        if content[_START:_END] != _compute_digest(content).encode():
            raise ValueError("its content does not match its SHA-256")
        n_header = int.from_bytes(content[:8], "little")
        entry: str = json.loads(content[8 : 8 + n_header])["__metadata__"][_KEY]
        about: dict[str, Any] = json.loads(entry[64:])
        return load(content), about
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError, SafetensorError) as error:
        raise RunError(f"{path}: damaged: {error}") from None


def _compute_digest(content: bytes | bytearray) -> str:
    """Return the SHA-256 of a file without its own SHA-256."""
    view = memoryview(content)
    digest = hashlib.sha256(view[:_START])
    digest.update(view[_END:])
    return digest.hexdigest()
