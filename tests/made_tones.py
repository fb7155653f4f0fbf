"""Square waves, whose mean magnitude is known, as recordings of speakers."""

from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray


def write_tone(path: Path, level: float, duration_s: float = 1.0) -> Path:
    """Write a square wave whose mean of ``|samples|`` is its level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n = round(duration_s * 8_000)
    tone: NDArray[np.float64] = np.where(np.arange(n) // 40 % 2 == 0, level, -level)
    sf.write(path, tone, 8_000, subtype="FLOAT")
    return path


def write_labelled_tones(folder: Path, *, apart: bool = True, n: int = 6) -> Path:
    """Write clips of three speakers, whose labels follow their level unless it is random."""
    rng = np.random.default_rng(0)
    rows = ["file,emotion,speaker"]
    for at in range(3 * n):
        for label, level in (("quiet", 0.10), ("shouting", 0.60), ("loud", 0.30)):
            own = level + 0.002 * at if apart else rng.uniform(0.1, 0.6)
            path = write_tone(folder / f"{label}-{at}.wav", own)
            rows.append(f"{path.name},{label},{'ann bob cy'.split()[at % 3]}")
    (folder / "mine.csv").write_text("\n".join(rows))
    return folder / "mine.csv"
