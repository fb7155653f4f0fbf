"""What is installed without an extra has to do: nothing of training is imported to predict."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime  # noqa: F401  # the tests below find it imported
import pytest
import soundfile as sf

from emovox import telemetry
from emovox.recognition.model_file import find_default_model

TRAINING = (
    "torch sklearn scipy matplotlib onnx onnxscript keras h5py jinja2 safetensors tomli_w pooch "
    "pandas"
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
    samples = 0.3 * np.where(np.arange(38_400) // 120 % 2, 1.0, -1.0)
    for name in ("a.wav", "b.flac", "c.ogg", "d.mp3"):
        sf.write(tmp_path / name, samples, 48_000)
    return tmp_path


def test_importing_emovox_imports_no_more_than_its_names() -> None:
    code = "import emovox; assert emovox.EMOTIONS; assert emovox.EmovoxError"
    result = run_blocked([*LIBRARY, "numpy", "onnxruntime", "soundfile", "av", "soxr"], code)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_usage_events_are_off_before_onnxruntime_is_imported() -> None:
    code = """
import emovox, os
from emovox.telemetry import SWITCHES
assert "onnxruntime" not in sys.modules
assert {name: os.environ[name] for name in SWITCHES} == SWITCHES
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""
    result = run_blocked([], code)
    assert (result.returncode, result.stdout, result.stderr) == (0, "1\n", "")


@pytest.mark.parametrize(
    ("before", "imported", "kept", "warnings"),
    [
        ("", True, "1", 1),
        ("0", True, "0", 1),
        ("true", True, "true", 0),
        ("", False, "1", 0),
        ("0", False, "0", 0),
    ],
)
def test_events_that_are_on_already_are_logged_once(
    before: str,
    imported: bool,
    kept: str,
    warnings: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in telemetry.SWITCHES:
        monkeypatch.setenv(name, before if name == "ORT_DISABLE_TELEMETRY" else "mine")
    monkeypatch.setattr(telemetry, "_events_may_be_on", False)
    if not imported:
        monkeypatch.delitem(sys.modules, "onnxruntime")
    telemetry.switch_off()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == kept
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "mine"
    for _ in range(2):
        telemetry.warn_of_usage_events()
    assert len(caplog.messages) == warnings
    assert all("ORT_DISABLE_TELEMETRY=1" in message for message in caplog.messages)


def test_a_host_program_that_imported_onnxruntime_first_is_warned(
    loudness_model: Path,
) -> None:
    code = """
import os
os.environ["CI"] = "true"  # onnxruntime sends nothing then, but emovox cannot know
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
import onnxruntime  # noqa: F401  # the tests below find it imported
from emovox import Recognizer
for _ in range(2):
    Recognizer.load(sys.argv[1])
"""
    result = run_blocked([], code, loudness_model)
    assert (result.returncode, result.stdout) == (0, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("onnxruntime was imported before emovox and may send usage events")


@pytest.mark.parametrize("folder", ["benchmarks", "scripts"])
def test_what_is_not_emovox_imports_it_before_onnxruntime(folder: str) -> None:
    found = 0
    for path in sorted((Path(__file__).parents[1] / folder).glob("*.py")):
        imports = re.findall(r"^(?:import|from) (\w+)", path.read_text(), flags=re.MULTILINE)
        if "onnxruntime" in imports:
            found += 1
            assert imports.index("emovox") < imports.index("onnxruntime"), path.name
    assert found >= 2


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
    print(recognizer.predict([0.75, -0.75] * 2_400, rate_hz=8_000).emotion)
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


def test_timelines_and_their_page_need_nothing_that_trains(
    loudness_model: Path, clips: Path, tmp_path: Path
) -> None:
    code = "from emovox.cli.main import main; main()"
    page = tmp_path / "timeline.html"
    options = ("--model", loudness_model, "--html", page, "--format", "srt")
    result = run_blocked([*TRAINING, "PIL"], code, "timeline", *options, clips / "a.wav")
    assert (result.returncode, result.stderr) == (0, "")
    assert page.is_file()


def test_the_demo_needs_nothing_that_trains(tmp_path: Path) -> None:
    code = "from emovox.cli.main import main; main()"
    page = tmp_path / "demo.html"
    result = run_blocked([*TRAINING, "PIL"], code, "demo", "--out", page)
    assert (result.returncode, result.stderr) == (0, "")
    assert page.is_file()


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
        (["serve"], "serve"),
    ],
)
def test_a_command_says_which_extra_it_needs(
    arguments: list[str], extra: str, tmp_path: Path
) -> None:
    code = f"import os; os.chdir({str(tmp_path)!r}); from emovox.cli.main import main; main()"
    blocked = [*TRAINING, "pydantic", "optuna", "fastapi", "uvicorn"]
    result = run_blocked(blocked, code, *arguments)
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert f"which is not installed; pip install 'emovox[{extra}]'" in line


def test_a_model_file_is_stress_tested_without_pytorch(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for emotion in ("sad", "happy"):
        (tmp_path / emotion).mkdir()
        samples = 0.1 * generator.standard_normal(16_000)
        sf.write(tmp_path / emotion / "a.wav", samples, 16_000)
    code = "from emovox.cli.main import main; main()"
    options = ("--corpus", tmp_path, "--tests", "gain,gain +6 dB", "--format", "csv")
    arguments = ("stress", find_default_model(), *options)
    result = run_blocked(["torch", "sklearn", "onnx"], code, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.split(",")[0] for line in result.stdout.splitlines()[1:]] == ["gain", "gain +6 dB"]


TORCH = ["torch", "onnxscript", "safetensors", "transformers", "keras", "h5py", "optuna"]
"""What is not installed with ``emovox[evaluate]``."""


@pytest.mark.parametrize(
    ("arguments", "printed", "written"),
    [
        (["compare", "{run}", "{other}"], "custom-tiny v1, speaker-independent; tiny", ""),
        (["report", "{run}", "--maps", "--data", "{data}"], "report.html", "report.html"),
        (["evaluate", "{run}", "--data", "{data}"], "WA ", "report.html"),
        (
            ["evaluate", "{model}", "--corpus", "ravdess", "--data", "{data}", "--out", "{run}/on"],
            "on ravdess, seen corpus, seen speakers, 8 labels, 96 clips of 6 speakers",
            "on/report.html",
        ),
        (
            ["stress", "{model}", "--corpus", "ravdess", "--data", "{data}"]
            + ["--tests", "level", "--clips", "4"],
            "4 of 96 clips",
            "",
        ),
        (
            ["stress", "{run}", "--data", "{data}", "--tests", "level", "--clips", "4"],
            "4 of 64 clips",
            "stress.csv",
        ),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_finished_runs_and_model_files_need_no_torch(
    arguments: list[str],
    printed: str,
    written: str,
    tiny_runs: tuple[Path, Path],
    tiny_corpus: Path,
    tmp_path: Path,
) -> None:
    run = Path(shutil.copytree(tiny_runs[0], tmp_path / "run"))
    (run / "report.html").unlink()
    model = run / "fold-01" / "model.onnx"
    names = {"run": run, "other": tiny_runs[1], "model": model, "data": tiny_corpus}
    code = "from emovox.cli.main import main; main()"
    result = run_blocked(TORCH, code, *(text.format(**names) for text in arguments))
    assert result.returncode == 0, result.stderr
    assert printed in result.stdout
    assert (run / written).exists()


def test_public_evaluation_needs_no_torch(loudness_model: Path) -> None:
    code = """
from emovox import EmovoxError, compare_runs, evaluate_model, evaluate_predictions, evaluate_run
try:
    evaluate_model(sys.argv[1], "none.csv")
except EmovoxError as error:
    print(error)
"""
    result = run_blocked(TORCH, code, loudness_model)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("no corpus named 'none.csv'")
