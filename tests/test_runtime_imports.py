"""What is installed without an extra has to do: nothing of training is imported to predict."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

TRAINING = (
    "torch sklearn scipy matplotlib onnx onnxscript keras h5py jinja2 safetensors tomli_w pandas"
).split()
# Recent typer imports pydantic itself; emovox's runtime does not, which the library's test shows.
LIBRARY = [*TRAINING, "pydantic", "typer", "rich"]

Completed = subprocess.CompletedProcess[str]

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def run_blocked(blocked: list[str], code: str, *args: str | Path) -> Completed:
    """Run code in a process of its own in which some modules seem not to be installed."""
    script = f"blocked = {blocked!r}\n{BLOCKER}\n{code}"
    command = [sys.executable, "-c", script, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Return a folder with a recording for each decoder, at a rate that is resampled."""
    samples = 0.3 * np.ones(4_800)
    for name in ("a.wav", "b.flac", "c.ogg", "d.mp3"):
        sf.write(tmp_path / name, samples, 48_000)
    return tmp_path


def test_importing_emovox_imports_no_more_than_its_names() -> None:
    code = "import emovox; assert emovox.EMOTIONS; assert emovox.EmovoxError"
    result = run_blocked([*LIBRARY, "numpy", "onnxruntime", "soundfile", "av", "soxr"], code)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_every_public_name_is_there() -> None:
    code = "import emovox\nfor name in emovox.__all__: assert getattr(emovox, name) is not None"
    assert run_blocked([], code).returncode == 0


def test_the_library_predicts_without_what_trains(loudness_model: Path, clips: Path) -> None:
    code = """
from emovox import Recognizer
for vad in (True, False):
    recognizer = Recognizer.load(sys.argv[1], vad=vad)
    for result in recognizer.predict_folder(sys.argv[2], jobs=2):
        print(result.emotion)
    print(recognizer.predict([0.75] * 800, rate_hz=8_000).emotion)
"""
    result = run_blocked(LIBRARY, code, loudness_model, clips)
    assert result.stderr == ""
    assert result.stdout.split() == ["None"] * 5 + ["quiet"] * 4 + ["loud"]


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["train", "--help"]])
def test_help_needs_nothing_that_trains(arguments: list[str]) -> None:
    code = "from emovox.cli.main import main; main()"
    result = run_blocked([*TRAINING, "numpy", "onnxruntime"], code, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage: " in result.stdout


def test_the_command_predicts_without_what_trains(loudness_model: Path, clips: Path) -> None:
    code = "from emovox.cli.main import main; main()"
    options = ("--model", loudness_model, "--format", "csv")
    result = run_blocked(TRAINING, code, "predict", *options, clips)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 5


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["train"], "train"),
        (["-v", "sweep"], "train"),
        (["tune", "--recipe", "encoder"], "tune"),
        (["export", "run", "--format", "onnx"], "train"),
        (["evaluate", "run"], "evaluate"),
        (["compare", "a", "b"], "evaluate"),
        (["stress", "run"], "evaluate"),
        (["explain", "a"], "evaluate"),
    ],
)
def test_a_command_says_which_extra_it_needs(
    arguments: list[str], extra: str, tmp_path: Path
) -> None:
    code = f"import os; os.chdir({str(tmp_path)!r}); from emovox.cli.main import main; main()"
    result = run_blocked([*TRAINING, "pydantic", "optuna"], code, *arguments)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert f"which is not installed; pip install 'emovox[{extra}]'" in line
