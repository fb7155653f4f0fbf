"""The shipped model gives the same probabilities on every processor."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emovox.corpora.read import load_clips
from emovox.perturbations.babble import make_voice
from emovox.recognition.recognizer import Recognizer

TOLERANCE = 0.01
GOLDEN = json.loads(Path(__file__).with_name("golden_predictions.json").read_text())
RATE_HZ = 16_000
EMULATOR = "qemu-x86_64-static"
N_EMULATED = 2
PREDICT_VOICES = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_golden_predictions import predict_voice
print(json.dumps({seed: predict_voice(int(seed)) for seed in sys.argv[2:]}))
"""


def predict_voice(seed: int) -> dict[str, float]:
    recognizer = Recognizer.load(vad=False, min_confidence=0)
    voice = make_voice(2 * RATE_HZ, RATE_HZ, np.random.default_rng(seed))
    return dict(recognizer.predict(voice, rate_hz=RATE_HZ).scores or {})


@pytest.mark.parametrize("seed", sorted(GOLDEN["voices"]))
def test_made_voices_have_their_golden_probabilities(seed: str) -> None:
    assert predict_voice(int(seed)) == pytest.approx(GOLDEN["voices"][seed], abs=TOLERANCE)


@pytest.mark.corpus
def test_clips_have_their_golden_probabilities(ravdess: Path) -> None:
    recognizer = Recognizer.load(vad=False, min_confidence=0)
    clips = {clip.name: clip for clip in load_clips(ravdess)}
    for name, expected in GOLDEN["clips"].items():
        scores = recognizer.predict(clips[name].path).scores
        assert scores == pytest.approx(expected, abs=TOLERANCE), name


@pytest.mark.slow
@pytest.mark.haswell
def test_a_processor_without_vnni_agrees() -> None:
    if shutil.which(EMULATOR) is None:
        if os.environ.get("EMOVOX_REQUIRE_CORPUS"):
            pytest.fail(f"{EMULATOR} is missing; apt install qemu-user-static")
        pytest.skip(f"{EMULATOR} is missing; apt install qemu-user-static")
    seeds = sorted(GOLDEN["voices"])[:N_EMULATED]
    # The interpreter itself, for a virtual environment's link is started by another name.
    command = [EMULATOR, "-cpu", "Haswell", os.path.realpath(sys.executable), "-c", PREDICT_VOICES]
    result = subprocess.run(
        [*command, str(Path(__file__).parent), *seeds],
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert result.returncode == 0, result.stderr[-2_000:]
    for seed, scores in json.loads(result.stdout).items():
        assert scores == pytest.approx(GOLDEN["voices"][seed], abs=TOLERANCE)
