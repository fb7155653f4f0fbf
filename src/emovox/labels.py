"""The emotions that emovox knows, and how each corpus names them."""

EMOTIONS: tuple[str, ...] = (
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
)
"""Class names in the order of RAVDESS' emotion codes 01-08; every score vector has this order."""

RAVDESS_EMOTIONS: dict[str, str] = {f"{code:02d}": name for code, name in enumerate(EMOTIONS, 1)}
"""RAVDESS emotion code (third field of a file name) to emotion."""
