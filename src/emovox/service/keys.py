"""API keys: made here, kept only as hashes, compared in constant time.

A key is 256 random bits, so a fast hash protects it: there is no dictionary to try.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from emovox.errors import EmovoxError

PREFIX = "emovox_"
KEYS_VARIABLE = "EMOVOX_API_KEYS"
_LINE = re.compile(r"([\w.@-]{1,64}):sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key's name and hash.

    Attributes:
        name: Name of its user, for the log and the rate limit.
        digest: SHA-256 of the key, hexadecimal.
    """

    name: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name}:sha256:{self.digest}"


def make_key(name: str) -> tuple[str, ApiKey]:
    """Make a key.

    Args:
        name: Name of its user: letters, digits and ``._@-``.

    Returns:
        The key, to be shown once, and what is stored of it.

    Raises:
        EmovoxError: The name has other characters.

    Examples:
        >>> key, stored = make_key("ann")
        >>> find_key([stored], key).name
        'ann'
    """
    key = PREFIX + secrets.token_urlsafe(32)
    (stored,) = parse_keys(f"{name}:sha256:{_digest(key)}", source="the name")
    return key, stored


def parse_keys(text: str, *, source: str) -> tuple[ApiKey, ...]:
    """Read stored keys, one for each line or separated by commas; ``#`` begins a comment.

    Raises:
        EmovoxError: A line is not a name and a hash, or a name occurs twice.
    """
    keys = []
    for number, line in enumerate(re.split("[\n,]", text), start=1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        match = _LINE.fullmatch(entry)
        if match is None:
            # The entry may be a key that was pasted by mistake, so it is not shown.
            raise EmovoxError(
                f"entry {number} is not a key's hash; expected NAME:sha256:HASH with a name of "
                "letters, digits and ._@-: make one with 'emovox serve --new-key NAME'",
                source=source,
            )
        keys.append(ApiKey(*match.groups()))
    if len({key.name for key in keys}) < len(keys):
        raise EmovoxError("a name occurs twice; give each key its own", source=source)
    return tuple(keys)


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Read a file of stored keys.

    Raises:
        EmovoxError: The file cannot be read, has no key, or a line is malformed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EmovoxError(
            f"cannot be read ({getattr(error, 'strerror', None) or error}), expected lines of "
            "NAME:sha256:HASH; make them with 'emovox serve --new-key NAME'",
            source=str(path),
        ) from error
    keys = parse_keys(text, source=str(path))
    if not keys:
        raise EmovoxError(
            "has no keys; make one with 'emovox serve --new-key NAME'", source=str(path)
        )
    return keys


def find_key(keys: Iterable[ApiKey], presented: str) -> ApiKey | None:
    """Return the key that was presented, or none; takes as long for a wrong one."""
    digest = _digest(presented)
    found = None
    for key in keys:  # all of them, so that the time does not tell which one it is
        if hmac.compare_digest(key.digest, digest):
            found = key
    return found


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
