"""The bundled speech encoder: a frozen ONNX graph, waveform in, one embedding out.

It is the lower half of Whisper tiny.en (see ``scripts/make_speech_encoder.py``). Training and the
exported model file run the same graph, so that nothing drifts between them.
"""

from importlib import resources
from pathlib import Path

ENCODER_INPUT = "waveform"
ENCODER_OUTPUT = "embedding"
ENCODER_RATE_HZ = 16_000


def find_speech_encoder() -> Path:
    """Return where the bundled encoder lies."""
    return Path(str(resources.files("emovox") / "assets" / "speech_encoder.onnx"))
