"""Voices that a manifest names: read where the archive was started, and sent with each task."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from emovox.archives.addresses import address_to_path, fetch, is_remote
from emovox.errors import AudioError, VoiceError
from emovox.recognition.voice import MAX_VOICE_BYTES, Voice


def read_voices(recordings: Iterable[dict[str, Any]]) -> dict[str, bytes]:
    """Return the content of the voice files of recordings; those that cannot be read are missing.

    Args:
        recordings: Rows of a plan.
    """
    addresses = {row["voice"] for row in recordings if row["voice"]}
    found = {address: _read(address) for address in sorted(addresses)}
    return {address: content for address, content in found.items() if content is not None}


def find_voice(item: dict[str, Any], voices: dict[str, bytes]) -> Voice | None:
    """Return the voice of a recording; None if the manifest names none.

    Raises:
        VoiceError: Its file cannot be read, or holds no voice.
    """
    address = item["voice"]
    if not address:
        return None
    if address not in voices:
        raise VoiceError(
            "cannot be read; expected a voice file that 'emovox enroll' wrote",
            code="voice.unreadable",
            source=address,
        )
    return Voice.from_bytes(voices[address], name=address)


@lru_cache(maxsize=10_000)
def _read(address: str) -> bytes | None:
    """Return the content of a voice file; None if it cannot be read."""
    try:
        if is_remote(address):
            with fetch(address)[0] as file:
                return file.read(MAX_VOICE_BYTES + 1)
        with open(address_to_path(address), "rb") as file:
            return file.read(MAX_VOICE_BYTES + 1)
    except (OSError, AudioError):
        return None
