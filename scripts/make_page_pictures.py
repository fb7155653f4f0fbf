"""Draw the pictures of the page in the README: ``python scripts/make_page_pictures.py``.

They are taken in Chromium, of recordings of actors in reference_clips, joined with pauses. They
show what the page looks like; a few clips do not show how well the model predicts.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

from emovox.audio.load import load_audio
from emovox.recognition.model_file import find_default_model, open_model
from emovox.webpage.page import write_page

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
RATE_HZ = 48_000
CLIPS = (
    "Actor_02/03-01-02-01-01-01-02",  # calm
    "Actor_01/03-01-04-02-02-01-01",  # sad
    "Actor_02/03-01-05-02-01-01-02",  # angry
    "Actor_03/03-01-06-02-02-02-03",  # fearful
    "Actor_04/03-01-03-02-01-02-04",  # happy
    "Actor_03/03-01-07-01-01-01-03",  # disgust
    "Actor_04/03-01-08-02-01-02-04",  # surprised
)


def main() -> None:
    """Write page-desktop.png and page-phone.png into docs/images."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_page(folder / "site", open_model(find_default_model()))
        recording = folder / "conversation.wav"
        write_conversation(recording)
        command = "npx --no-install vitest run --config vitest.browser.config.ts screenshots.ts"
        environment = {
            "SITE": str(folder / "site"),
            "RECORDING": str(recording),
            "IMAGES": os.environ.get("IMAGES", str(IMAGES)),
            "CHROMIUM": shutil.which("chromium") or "chromium",
        }
        subprocess.run(  # noqa: S603
            command.split(), cwd=ROOT / "page", env={**os.environ, **environment}, check=True
        )


def write_conversation(path: Path) -> None:
    """Join clips with pauses of room tone."""
    rng = np.random.default_rng(1)
    parts = []
    for clip in CLIPS:
        samples = load_audio(ROOT / "reference_clips" / f"{clip}.opus", RATE_HZ).samples
        pause = rng.normal(0, 1e-4, round(rng.uniform(0.3, 1.2) * RATE_HZ)).astype(np.float32)
        parts += [samples / max(0.3, float(np.abs(samples).max())) * 0.5, pause]
    sf.write(path, np.concatenate(parts), RATE_HZ)


if __name__ == "__main__":
    main()
