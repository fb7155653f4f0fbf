"""Labels: the standard emotions, the codes that each corpus uses for them, and custom labels."""

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
"""Emotions in the order of the RAVDESS codes 01-08; a corpus may add other labels."""

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
"""Lower-case English words for the emotions, as found in manifests and folder names."""

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
    "ased": {"n1": "neutral", "f2": "fearful", "h3": "happy", "s4": "sad", "a5": "angry"},
    "banglaser": {
        "01": "happy",
        "02": "sad",
        "03": "angry",
        "04": "surprised",
        "05": "neutral",
    },
    "emozionalmente": {"neutrality": "neutral"},
}
"""Label codes of each corpus; RAVDESS has no boredom, so it is a separate label."""


def map_label(label: str, corpus: str | None = None) -> str:
    """Return emovox's name for a label used by a corpus.

    Args:
        label: The label as the corpus writes it: one of its codes, or a word in any case.
        corpus: Corpus whose codes are tried first; ``None``: words only.

    Returns:
        One of ``EMOTIONS``, or the word itself in lower case.

    Examples:
        >>> map_label("Happiness"), map_label("rab", "emovo"), map_label("L", "emodb")
        ('happy', 'angry', 'boredom')
        >>> map_label(" Positive ")
        'positive'
    """
    word = CORPUS_LABELS.get(corpus or "", {}).get(label.strip(), label).strip().lower()
    return EMOTION_WORDS.get(word, word)


def order_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct labels in the order of a model's outputs.

    Args:
        labels: Emotions and custom labels.

    Returns:
        The emotions in the order of ``EMOTIONS``, then the others alphabetically.

    Examples:
        >>> order_labels(["stress", "sad", "boredom", "happy", "sad"])
        ('happy', 'sad', 'boredom', 'stress')
    """
    found = set(labels)
    return (*(e for e in EMOTIONS if e in found), *sorted(found.difference(EMOTIONS)))
