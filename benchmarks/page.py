"""Compare the page in browsers with Python, on real clips: ``python benchmarks/page.py``.

The clips are those of reference_clips, decoded to WAV, so that decoders make no difference.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from emovox import Recognizer
from emovox.audio.load import load_audio
from emovox.recognition.model_file import find_default_model, open_model
from emovox.webpage.page import write_page

ROOT = Path(__file__).parents[1]
RATE_HZ = 48_000
BROWSERS = {"chromium": "chromium", "firefox": "firefox-esr"}


def main() -> None:
    """Predict clips in Python and in each browser, and print how much they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=200, help="Number of clips.")
    parser.add_argument("--browser", choices=list(BROWSERS), action="append", help="Default: both.")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_page(folder / "site", open_model(find_default_model()))
        files = write_clips(folder / "clips", args.clips)
        recognizer = Recognizer.load()
        expected = [
            {**segment.to_dict(), "file": path.name}
            for path in files
            for segment in recognizer.timeline(path)
        ]
        duration_s = sum(sf.info(path).duration for path in files)
        for browser in args.browser or BROWSERS:
            found = predict_in_browser(folder, browser, files)
            report(browser, found, expected, len(files), duration_s)


def write_clips(folder: Path, n_clips: int) -> list[Path]:
    """Write clips as WAV files, evenly spread over speakers and emotions."""
    folder.mkdir()
    sources = sorted((ROOT / "reference_clips").glob("*/*.opus"))
    chosen = np.linspace(0, len(sources) - 1, n_clips).round().astype(int)
    files = []
    for index in np.unique(chosen):
        path = folder / f"{sources[index].stem}.wav"
        sf.write(path, load_audio(sources[index], RATE_HZ).samples, RATE_HZ)
        files.append(path)
    return files


def predict_in_browser(folder: Path, browser: str, files: list[Path]) -> dict[str, Any]:
    """Predict recordings in the page, and return what it found."""
    (folder / "files.json").write_text(json.dumps([str(path) for path in files]))
    out = folder / f"{browser}.json"
    environment = {
        "SITE": str(folder / "site"),
        "BROWSER": browser,
        "FILES": str(folder / "files.json"),
        "OUT": str(out),
        browser.upper(): shutil.which(BROWSERS[browser]) or BROWSERS[browser],
    }
    command = "npx --no-install vitest run --config vitest.browser.config.ts predict.ts"
    subprocess.run(
        command.split(),
        cwd=ROOT / "page",
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
    )
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def report(
    browser: str,
    found: dict[str, Any],
    expected: list[dict[str, Any]],
    n_clips: int,
    duration_s: float,
) -> None:
    """Print the largest differences, and how fast the page was."""
    outline = [[(s["file"], s["emotion"], s["abstained"]) for s in found["segments"]]]
    outline.append([(s["file"], s["emotion"], s["abstained"]) for s in expected])
    by_file = [
        {name: [s for s in segments if s[0] == name] for name, *_ in segments}
        for segments in outline
    ]
    other = [name for name in by_file[1] if by_file[0].get(name) != by_file[1][name]]
    differences = [
        max(abs(mine["scores"][label] - theirs["scores"][label]) for label in theirs["scores"])
        for mine, theirs in zip(found["segments"], expected, strict=False)
        if mine["file"] == theirs["file"] and theirs["scores"] and mine["scores"]
    ]
    shares = np.quantile(differences, (0.5, 0.9, 0.99, 1.0))
    print(
        f"{browser}: {n_clips} clips, {len(differences)} segments of speech, "
        f"{found['refused']} refused"
    )
    print(f"  clips with another answer: {len(other)} {' '.join(other[:5])}")
    print("  largest difference of any probability in a segment:")
    print("    median {:.4f}, 90% {:.4f}, 99% {:.4f}, maximum {:.4f}".format(*shares))
    over = sum(difference > 0.01 for difference in differences)
    print(f"    above 0.01: {over} of {len(differences)}")
    print(f"  {duration_s / found['seconds']:.1f} times faster than real time")


if __name__ == "__main__":
    main()
