"""Three made corpora with different labels, for runs that leave one out."""

from pathlib import Path

import numpy as np
import soundfile as sf

LABELS = {
    "anna": ("neutral", "calm", "happy", "sad", "angry"),
    "bert": ("neutral", "happy", "sad", "angry", "disgust"),
    "carl": ("happy", "sad", "angry", "disgust", "bored"),
}
"""Labels of each corpus: calm and bored are in one of them only, and one has nothing neutral."""

TONES_HZ = {"neutral": 500, "calm": 550, "happy": 1_000, "sad": 1_500, "angry": 2_000}
TAKES = 2


def write_corpora(folder: Path, n_speakers: int = 3) -> list[Path]:
    """Write one list per corpus, each with clips of 0.3 s at 8 kHz: each emotion its own tone."""
    generator = np.random.default_rng(5)
    time_s = np.arange(2_400) / 8_000
    lists = []
    for number, (corpus, labels) in enumerate(LABELS.items()):
        rows = ["file,emotion,speaker,gender"]
        for speaker in range(1, n_speakers + 1):
            for label in labels:
                for take in range(TAKES):
                    tone_hz = TONES_HZ.get(label, 3_000) + 20 * number + 5 * speaker
                    samples = 0.3 * np.sin(2 * np.pi * tone_hz * time_s + take)
                    samples += 0.05 * generator.uniform(-1, 1, time_s.size)
                    path = folder / corpus / f"{speaker}-{label}-{take}.wav"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    sf.write(path, samples, 8_000, subtype="PCM_16")
                    gender = "female" if speaker % 2 else "male"
                    name = path.relative_to(folder)
                    rows.append(f"{name},{label},{corpus}{speaker},{gender}")
        lists.append(folder / f"{corpus}.csv")
        lists[-1].write_text("\n".join(rows) + "\n", encoding="utf-8")
    return lists
