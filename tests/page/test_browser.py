"""The page in Chromium and Firefox, as they are installed: ``page/tests/browser``."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from onnx import TensorProto, helper

from emovox import Recognizer
from emovox.audio.load import load_audio
from emovox.recognition.model_file import find_default_model, open_model
from emovox.webpage.page import write_page

from .conftest import require, run_node

RATE_HZ = 48_000
CLIPS = {
    "angry.wav": "Actor_02/03-01-05-02-01-01-02",
    "sad.flac": "Actor_01/03-01-04-02-02-01-01",
    "happy.mp3": "Actor_04/03-01-03-02-01-02-04",
    "fearful.ogg": "Actor_03/03-01-06-02-02-02-03",
    "calm.opus": "Actor_02/03-01-02-01-01-01-02",
}


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, reference_clips: Path) -> Path:
    """Return a folder with two sites, recordings, and what emovox predicts for them."""
    folder = tmp_path_factory.mktemp("sites")
    model = open_model(find_default_model())
    write_page(folder / "static", model)
    write_page(folder / "voice", model)
    replace_model(folder / "voice" / "model")
    (folder / "letter.wav").write_text("Dear microphone,\n")
    for name, clip in CLIPS.items():
        source = reference_clips / f"{clip}.opus"
        if name.endswith(".opus"):
            shutil.copy(source, folder / name)
        else:
            samples = load_audio(source, RATE_HZ).samples
            sf.write(folder / name, samples, 44_100 if name == "happy.mp3" else RATE_HZ)
    write_half_hour(folder / "half-hour.wav", load_audio(folder / "angry.wav", 16_000).samples)
    recognizer = Recognizer.load()
    segments = [
        {**segment.to_dict(), "file": name}
        for name in CLIPS
        for segment in recognizer.timeline(folder / name)
    ]
    expected = {"labels": model.info.labels, "files": list(CLIPS), "segments": segments}
    (folder / "expected.json").write_text(json.dumps(expected))
    return folder


def write_half_hour(path: Path, samples: np.ndarray) -> None:
    """Write 30 minutes, 16 kHz, of which the 10th and the 1,790th second begin a voice."""
    with sf.SoundFile(path, "w", 16_000, 1, "PCM_16") as file:
        silence = np.zeros(16_000, np.float32)
        for start_s, end_s in ((0, 10), (10, 1_790), (1_790, 1_800)):
            before = samples if start_s else samples[:0]
            n = 16_000 * (end_s - start_s)
            file.write(before[:n])
            for _ in range(max(0, n - len(before)) // 16_000):
                file.write(silence)
            file.write(silence[: max(0, n - len(before)) % 16_000])


def replace_model(folder: Path) -> None:
    """Put a model there that takes a voice, and predicts another emotion with any."""
    floats = TensorProto.FLOAT
    description = json.loads((folder / "model.json").read_text())
    n = len(description["labels"])
    first, second = np.eye(n, dtype=np.float32)[:2]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["waveform", "axes"], ["mean"], keepdims=1),
            helper.make_node("Concat", ["mean", "one"], ["embedding"], axis=1),
            # A voice is known to be neutral.
            helper.make_node("ReduceSum", ["reference_labels", "axes"], ["labelled"], keepdims=0),
            helper.make_node("Mul", ["reference_weight", "labelled"], ["given"]),
            helper.make_node("Greater", ["given", "zero"], ["known"]),
            helper.make_node("Where", ["known", "second", "first"], ["probabilities"]),
        ],
        "voice",
        [
            helper.make_tensor_value_info("waveform", floats, [1, "samples"]),
            helper.make_tensor_value_info("reference", floats, [1, 2]),
            helper.make_tensor_value_info("reference_weight", floats, [1]),
            helper.make_tensor_value_info("reference_labels", floats, [1, n]),
        ],
        [
            helper.make_tensor_value_info("probabilities", floats, [1, n]),
            helper.make_tensor_value_info("embedding", floats, [1, 2]),
        ],
        [
            helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
            helper.make_tensor("one", floats, [1, 1], [1.0]),
            helper.make_tensor("zero", floats, [1], [0.0]),
            helper.make_tensor("first", floats, [1, n], first),
            helper.make_tensor("second", floats, [1, n], second),
            # Inputs that may be left out, as in emovox's own model files.
            helper.make_tensor("reference", floats, [1, 2], [0.0, 0.0]),
            helper.make_tensor("reference_weight", floats, [1], [0.0]),
            helper.make_tensor("reference_labels", floats, [1, n], [0.0] * n),
        ],
    )
    opset = helper.make_opsetid("", 18)
    content = helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    description["reference"] = {
        "features": 2,
        "min_speech_s": 1.0,
        "neutral_prior": 1.0,
        "neutral_weight": 1.0,
        "labels": n,
        "neutral_known": 0.6,
    }
    description["files"]["model.onnx"] = {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (folder / "model.json").write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("browser", "program"), [("chromium", "chromium"), ("firefox", "firefox-esr")]
)
def test_page(browser: str, program: str, page_source: Path, sites: Path) -> None:
    path = shutil.which(program)
    require(path is not None, f"{program} is missing: apt install {program}")
    if browser == "firefox":
        require(shutil.which("pulseaudio") is not None, "apt install pulseaudio")
    run_node(
        page_source,
        "vitest",
        "run",
        "--config",
        "vitest.browser.config.ts",
        "page.test.ts",
        "--reporter=verbose",
        SITES=str(sites),
        BROWSER=browser,
        **{browser.upper(): str(path)},
    )
