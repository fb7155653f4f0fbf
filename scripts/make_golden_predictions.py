"""Write `tests/recognition/golden_predictions.json`, the shipped model's expected predictions.

    EMOVOX_DATA=corpora python scripts/make_golden_predictions.py

Synthetic voices come from `emovox.perturbations.babble.make_voice`, with their name as seed; clips
come from RAVDESS. The tests compare natively and, for the voices, on an emulated Haswell, which
accumulates 8-bit products in 16 bits.
"""

import json
from pathlib import Path

import numpy as np

from emovox.corpora.read import load_clips
from emovox.files import write_text
from emovox.perturbations.babble import make_voice
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction

GOLDEN = Path(__file__).parents[1] / "tests" / "recognition" / "golden_predictions.json"
RATE_HZ = 16_000
VOICE_S = 2
N_VOICES = 6
EVERY = 60
"""Step between the clips used, chosen to cover all actors and most emotions."""


def main() -> None:
    """Predict voices and clips, and save their probabilities."""
    recognizer = Recognizer.load(vad=False, min_confidence=0)
    voices = {}
    for seed in range(N_VOICES):
        voice = make_voice(VOICE_S * RATE_HZ, RATE_HZ, np.random.default_rng(seed))
        voices[str(seed)] = recognizer.predict(voice, rate_hz=RATE_HZ)
    # 7 is coprime to all counts in RAVDESS' names, so the steps reach every emotion.
    clips = load_clips()[7::EVERY]
    content = {
        "voices": {name: round_scores(prediction) for name, prediction in voices.items()},
        "clips": {c.name: round_scores(recognizer.predict(c.path)) for c in clips},
    }
    write_text(GOLDEN, json.dumps(content, indent=1) + "\n")


def round_scores(prediction: Prediction) -> dict[str, float]:
    """Round scores to the digits that the tests' tolerance needs."""
    return {label: round(score, 5) for label, score in (prediction.scores or {}).items()}


if __name__ == "__main__":
    main()
