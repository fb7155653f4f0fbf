"""The seal of a model file: a SHA-256 of all bytes before it, which proves that the file is whole.

It is the file's last metadata entry, ``emovox.sha256``. Protocol Buffers allow an entry to be
appended to a message, so other programs read a sealed file as any ONNX file, and checking it needs
neither a parser nor the ``onnx`` package.
"""

import hashlib

SEAL_KEY = "emovox.sha256"

_METADATA_FIELD = 14 << 3 | 2
"""Tag of ``ModelProto.metadata_props`` in onnx.proto: field 14, with its length in front."""
_KEY_FIELD, _VALUE_FIELD = 1 << 3 | 2, 2 << 3 | 2


def make_seal(body: bytes | memoryview) -> bytes:
    """Return the metadata entry to append to an ONNX file: its SHA-256, as JSON."""
    return write_seal(hashlib.sha256(body).hexdigest())


def write_seal(sha256: str) -> bytes:
    """Return the metadata entry that holds a SHA-256."""
    key, value = SEAL_KEY.encode(), f'"{sha256}"'.encode()
    entry = bytes([_KEY_FIELD, len(key)]) + key + bytes([_VALUE_FIELD, len(value)]) + value
    return bytes([_METADATA_FIELD, len(entry)]) + entry


SEAL_BYTES = len(make_seal(b""))


def seal_model(body: bytes) -> bytes:
    """Return the content of a sealed model file.

    Args:
        body: Bytes of an ONNX file with emovox metadata, without a seal.
    """
    return body + make_seal(body)


def check_seal(content: bytes) -> str | None:
    """Check that a model file ends with its seal, and that nothing before it has changed.

    Args:
        content: Bytes of the file.

    Returns:
        SHA-256 of the whole file, seal included; ``None`` if it is not as it was sealed.
    """
    view = memoryview(content)
    digest = hashlib.sha256(view[:-SEAL_BYTES])
    if view[-SEAL_BYTES:] != write_seal(digest.hexdigest()):
        return None
    digest.update(view[-SEAL_BYTES:])
    return digest.hexdigest()
