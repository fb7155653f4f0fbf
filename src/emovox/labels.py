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

EMOTION_WORDS: dict[str, str] = {
    **{emotion: emotion for emotion in EMOTIONS},
    "calmness": "calm",
    "happiness": "happy",
    "joy": "happy",
    "joyful": "happy",
    "sadness": "sad",
    "anger": "angry",
    "fear": "fearful",
    "afraid": "fearful",
    "disgusted": "disgust",
    "surprise": "surprised",
}
"""English words for the emotions, in small letters, as manifests and folders use them."""

CORPUS_LABELS: dict[str, dict[str, str]] = {
    "ravdess": RAVDESS_EMOTIONS,
    "ravdess-song": RAVDESS_EMOTIONS,
    "emodb": {
        "W": "angry",
        "L": "boredom",
        "E": "disgust",
        "A": "fearful",
        "F": "happy",
        "T": "sad",
        "N": "neutral",
    },
    "emovo": {
        "dis": "disgust",
        "gio": "happy",
        "pau": "fearful",
        "rab": "angry",
        "sor": "surprised",
        "tri": "sad",
        "neu": "neutral",
    },
    "cremad": {
        "ANG": "angry",
        "DIS": "disgust",
        "FEA": "fearful",
        "HAP": "happy",
        "NEU": "neutral",
        "SAD": "sad",
    },
    "tess": {
        "ps": "surprised",
        "pleasant_surprise": "surprised",
        "pleasant_surprised": "surprised",
    },
    "savee": {
        "a": "angry",
        "d": "disgust",
        "f": "fearful",
        "h": "happy",
        "n": "neutral",
        "sa": "sad",
        "su": "surprised",
    },
}
"""Each corpus' own codes; a name that is none of :data:`EMOTIONS` has no counterpart here."""


def map_label(label: str, corpus: str | None = None) -> str | None:
    """Return the emotion that a corpus' label stands for.

    Args:
        label: As the corpus writes it: a code of its own, or an English word in any case.
        corpus: Whose codes to look at first; ``None``: words only.

    Returns:
        One of :data:`EMOTIONS`, or ``None`` where the label has no counterpart among them.

    Example:
        >>> map_label("Happiness"), map_label("rab", "emovo"), map_label("L", "emodb")
        ('happy', 'angry', None)
    """
    word = name_label(label, corpus)
    return EMOTION_WORDS.get(word.lower())


def name_label(label: str, corpus: str | None = None) -> str:
    """Return a corpus' code as a word: ``"L"`` of EMO-DB as ``"boredom"``; others as they are."""
    return CORPUS_LABELS.get(corpus or "", {}).get(label.strip(), label.strip())
