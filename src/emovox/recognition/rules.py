"""The rules of docs/runtime.md as numbers, for programs that follow them in another language."""

from typing import Any

from emovox.audio.limits import SILENCE_PEAK
from emovox.recognition import classify, speech_spans, timeline, voice_activity

RULES_VERSION = 1
"""Version of docs/runtime.md; it changes if programs that follow the rules have to."""


def describe_rules() -> dict[str, Any]:
    """Return every number that docs/runtime.md refers to by name.

    Returns:
        JSON-serialisable: ``version``, then the numbers of each section by their names there.

    Examples:
        >>> describe_rules()["turns"]["turn_pause_s"]
        0.5
    """
    return {
        "version": RULES_VERSION,
        "silence_peak": SILENCE_PEAK,
        "voice_activity": {
            "rate_hz": voice_activity.RATE_HZ,
            "frame_samples": voice_activity.FRAME_SAMPLES,
            "context_samples": voice_activity.CONTEXT_SAMPLES,
            "chunk_samples": voice_activity.CHUNK_SAMPLES,
            "level_rms": voice_activity.LEVEL_RMS,
            "slowing": voice_activity.SLOWING,
        },
        "spans": {
            "speech_probability": voice_activity.SPEECH_PROBABILITY,
            "pause_probability": round(speech_spans.PAUSE_PROBABILITY, 6),
            "min_speech_s": speech_spans.MIN_SPEECH_S,
            "min_silence_s": speech_spans.MIN_SILENCE_S,
            "padding_s": speech_spans.PADDING_S,
        },
        "turns": {
            "turn_pause_s": speech_spans.TURN_PAUSE_S,
            "max_turn_s": speech_spans.MAX_TURN_S,
            "look_back_s": speech_spans.LOOK_BACK_S,
            "kept_frames": speech_spans.KEPT_FRAMES,
        },
        "windows": {
            "window_s": timeline.WINDOW_S,
            "window_hop_s": timeline.WINDOW_HOP_S,
            "hop_s": timeline.HOP_S,
            "smoothing": list(timeline.SMOOTHING),
        },
        "predictions": {"too_short_s": classify.TOO_SHORT_S},
    }
