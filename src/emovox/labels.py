"""Labels: the emotions that every corpus shares, how each names them, and words of one's own."""

from collections.abc import Iterable

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
"""Emotions in the order of RAVDESS' codes 01-08; a corpus may have other labels beside them."""

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
"""English words for the emotions, in lower case, as manifests and folders use them."""

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
        "boredem": "boredom",  # as EmoBox spells it
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
"""Each corpus' own codes; boredom is no emotion of RAVDESS, so it is a label of its own."""


def map_label(label: str, corpus: str | None = None) -> str:
    """Return the name under which emovox knows a corpus' label.

    Args:
        label: As the corpus writes it: a code of its own, or a word in any case.
        corpus: Whose codes to look at first; ``None``: words only.

    Returns:
        One of :data:`EMOTIONS`, or the word itself in lower case.

    Example:
        >>> map_label("Happiness"), map_label("rab", "emovo"), map_label("L", "emodb")
        ('happy', 'angry', 'boredom')
        >>> map_label(" Positive ")
        'positive'
    """
    word = CORPUS_LABELS.get(corpus or "", {}).get(label.strip(), label).strip().lower()
    return EMOTION_WORDS.get(word, word)


def order_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels in the order of a model's outputs, each once.

    Args:
        labels: Emotions and other words.

    Returns:
        The emotions in the order of :data:`EMOTIONS`, then the others by the alphabet.

    Example:
        >>> order_labels(["stress", "sad", "boredom", "happy", "sad"])
        ('happy', 'sad', 'boredom', 'stress')
    """
    found = set(labels)
    return (*(e for e in EMOTIONS if e in found), *sorted(found.difference(EMOTIONS)))
