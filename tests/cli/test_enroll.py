"""Voices, embeddings and ``emovox info`` on the command line."""

import csv
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.cli.conftest import Call
from tests.made_tones import write_tone

from emovox.export.metadata import write_info
from emovox.recognition import named_models
from emovox.recognition.model_file import open_model
from emovox.recognition.named_models import NamedModel
from emovox.recognition.recognizer import Recognizer, warn_of_licence
from emovox.recognition.voice import Voice


def expect(level: float, baseline: float, weight: float) -> float:
    return float(1 / (1 + np.exp(-20 * (level - weight * baseline))))


def read_loud(stdout: str) -> list[float]:
    return [row["scores"]["loud"] for row in json.loads(stdout) if "scores" in row]


def test_an_enrolled_voice_changes_predictions(
    call: Call, voice_model: Path, tmp_path: Path
) -> None:
    files = [write_tone(tmp_path / f"{at}.wav", 0.3, 2.0) for at in range(3)]
    own = ("--model", voice_model, "--no-vad")
    ended = call("enroll", *files, "--out", "me.voice", *own)
    assert (ended.status, ended.stderr) == (0, "")
    assert "6.0 s of speech in 3 recordings" in ended.stdout
    assert "count 60%" in " ".join(ended.stdout.split())
    assert Voice.load("me.voice").recordings == 3
    clip = write_tone(tmp_path / "call.wav", 0.2)
    for options, weight in ((("--voice", "me.voice"), 0.6), ((), 0.0)):
        ended = call("predict", clip, *options, *own, "--format", "json")
        assert read_loud(ended.stdout) == pytest.approx([expect(0.2, 0.3, weight)], abs=1e-4)
        ended = call("timeline", clip, *options, *own, "--format", "json")
        assert read_loud(ended.stdout) == pytest.approx([expect(0.2, 0.3, weight)], abs=1e-4)
    ended = call("enroll", files[0], "--any-emotion", "--out", "any.voice", *own)
    assert Voice.load("any.voice").kind == "unlabelled"


def test_what_cannot_be_enrolled_says_why(
    call: Call, voice_model: Path, loudness_model: Path, tmp_path: Path
) -> None:
    clip = write_tone(tmp_path / "call.wav", 0.2)
    ended = call("enroll", clip, "--out", "me.voice", "--model", voice_model, "--no-vad")
    assert ended.status == 1
    assert ended.stderr.startswith("emovox: 1.0 s of speech in 1 recording; expected at least 3 s")
    assert not Path("me.voice").exists()
    ended = call("enroll", "none/", "--out", "me.voice", "--model", voice_model)
    assert (ended.status, ended.stderr.count("\n")) == (1, 1)
    ended = call("enroll", clip, "--out", "me.voice", "--model", loudness_model)
    assert "'loudness' takes no voice" in ended.stderr
    Path("me.voice").write_text("{}")
    ended = call("predict", clip, "--voice", "me.voice", "--model", voice_model)
    assert (ended.status, ended.stdout) == (1, "")
    assert "me.voice: not a voice file" in ended.stderr


def test_recordings_are_adapted_to_by_folder_subfolder_or_list(
    call: Call, voice_model: Path, tmp_path: Path
) -> None:
    levels = {"ann": [0.1, 0.2, 0.3], "bob": [0.5, 0.6, 0.7]}
    folder = tmp_path / "calls"
    files = [
        write_tone(folder / who / f"{at}.wav", level)
        for who, own in levels.items()
        for at, level in enumerate(own)
    ]
    flat = [level for own in levels.values() for level in own]
    apart = [expect(x, sum(own) / 3, 0.5) for own in levels.values() for x in own]
    options = ("--model", voice_model, "--no-vad", "--format", "json")
    ended = call("predict", folder, "--adapt", "speaker", *options)
    assert (ended.status, ended.stderr) == (0, "")
    assert read_loud(ended.stdout) == pytest.approx(apart, abs=1e-4)
    ended = call("predict", folder, "--adapt", "folder", *options)
    together = [expect(x, 0.4, 2 / 3) for x in flat]
    assert read_loud(ended.stdout) == pytest.approx(together, abs=1e-4)
    # Files belong to the folder that they are in.
    ended = call("predict", *files, "--adapt", "folder", "--jobs", "2", *options)
    assert read_loud(ended.stdout) == pytest.approx(apart, abs=1e-4)
    rows = ["speaker,file", *(f"one,calls/{file.relative_to(folder)}" for file in files)]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    ended = call("predict", tmp_path / "list.csv", "--adapt", "speaker", *options)
    assert read_loud(ended.stdout) == pytest.approx(together, abs=1e-4)
    (tmp_path / "list.csv").write_text("file\na.wav")
    ended = call("predict", tmp_path / "list.csv", "--adapt", "speaker", *options)
    assert (ended.status, ended.stdout) == (1, "")
    assert "found no column speaker" in ended.stderr


def test_a_doubtful_set_is_noted_once(call: Call, voice_model: Path, tmp_path: Path) -> None:
    files = [write_tone(tmp_path / "ann" / f"{at}.wav", 0.2) for at in range(4)]
    (tmp_path / "ann" / "9.wav").write_bytes(b"RIFF")
    options = ("--model", voice_model, "--no-vad", "--format", "json", "--adapt", "folder")
    ended = call("predict", tmp_path / "ann", tmp_path / "none", *options)
    assert ended.status == 1
    assert ended.stderr.count("that the model finds alike") == 1
    assert ended.stderr.count("9.wav") == ended.stderr.count("none: ") == 1
    rows = json.loads(ended.stdout)
    assert len(rows) == len(files) + 2
    assert all("finds alike" in row["notes"][0] for row in rows[:4])
    for wrong in (("-",), (files[0], "--voice", "me.voice")):
        ended = call("predict", *wrong, *options)
        assert (ended.status, ended.stdout) == (2, "")
        assert "--adapt goes with files and folders, without --voice" in ended.stderr


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet"])
def test_embeddings_are_written(call: Call, voice_model: Path, tmp_path: Path, suffix: str) -> None:
    for at, level in enumerate((0.1, 0.2, 0.0)):
        write_tone(tmp_path / "in" / f"{at}.wav", level)
    out = f"x.{suffix}"
    ended = call("embed", tmp_path / "in", "--out", out, "--model", voice_model, "--no-vad")
    assert (ended.status, ended.stdout) == (1, f"{out}: 2 x 2\n")
    assert re.search(r"2\.wav: no speech detected", ended.stderr)
    expected = [[0.1, 0.2], [0.2, 0.4]]
    names = [str(tmp_path / "in" / name) for name in ("0.wav", "1.wav")]
    if suffix == "npz":
        with np.load(out) as found:
            np.testing.assert_allclose(found["embeddings"], expected, atol=1e-4)
            assert found["embeddings"].dtype == np.float32
            assert found["files"].tolist() == names
            assert str(found["model"]) == open_model(voice_model).sha256
        return
    if suffix == "csv":
        rows = list(csv.DictReader(Path(out).open(encoding="utf-8")))
    else:
        rows = pq.read_table(out).to_pylist()
    assert [row["file"] for row in rows] == names
    found_rows = [[float(row["f0"]), float(row["f1"])] for row in rows]
    np.testing.assert_allclose(found_rows, expected, atol=1e-4)


def test_embeddings_need_a_known_format_and_names(call: Call) -> None:
    ended = call("embed", "a.wav", "--out", "x.mat")
    assert (ended.status, ended.stdout) == (2, "")
    assert ".npz, .csv, .parquet" in ended.stderr
    assert call("embed", "-", "--out", "x.npz").status == 2


def test_info_prints_licence_credits_and_ledger(call: Call, voice_model: Path) -> None:
    ended = call("info", voice_model)
    assert (ended.status, ended.stderr) == (0, "")
    text = " ".join(ended.stdout.split())
    digest = hashlib.sha256(voice_model.read_bytes()).hexdigest()
    for part in (
        digest,
        "labels: quiet, loud",
        "takes a voice: yes; embedding: 2 features",
        "Licence CC0. Encoder: MIT.",
        "none: CC0 1.0. Nobody (2000). https://example.org",
        "2 clips of 0 speakers",
        "UA 50.0 (95% interval 25.0 to 75.0)",
    ):
        assert part in text
    found = json.loads(call("info", voice_model, "--format", "json").stdout)
    assert found["sha256"] == digest
    assert (found["takes_voice"], found["non_commercial"]) == (True, False)
    assert found["corpora"][0]["credit"] == "Nobody (2000)"
    assert found["reference"]["neutral_prior"] == 1.0


def test_info_describes_the_bundled_model(call: Call) -> None:
    found = json.loads(call("info", "--format", "json").stdout)
    recognizer = Recognizer.load(vad=False)
    assert found["sha256"] == recognizer.model.sha256
    assert found["licence"] == recognizer.licence
    assert [corpus["name"] for corpus in found["corpora"]] == found["training_corpora"]
    assert all(corpus["credit"] for corpus in found["corpora"])
    assert found["encoder_licence"].startswith("MIT")


@pytest.fixture
def research(voice_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a model for research the one that is loaded as ``research``; return its file."""
    path = tmp_path / "models" / "research.onnx"
    path.parent.mkdir()
    path.write_bytes(voice_model.read_bytes())
    info = replace(open_model(path).info, licence="for non-commercial use only")
    write_info(path, info)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    named = {
        "research": NamedModel("research", "research.onnx", digest, "for research", "example.org"),
        "base": NamedModel("base", "base.onnx", None, "larger", "example.org"),
    }
    monkeypatch.setattr(named_models, "read_named_models", lambda: named)
    monkeypatch.setenv("EMOVOX_MODELS", str(path.parent))
    warn_of_licence.cache_clear()
    return path


def test_a_named_model_is_found_and_says_its_licence_once(
    research: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert Recognizer.load("research").model.path == research
    assert Recognizer.load("research").licence == "for non-commercial use only"
    assert caplog.text.count("not for every use: for non-commercial use only") == 1


def test_a_named_model_that_is_missing_says_where_to_get_it(research: Path, call: Call) -> None:
    assert json.loads(call("info", "research", "--format", "json").stdout)["non_commercial"]
    research.write_bytes(research.read_bytes()[:-1] + b"?")
    ended = call("info", "research")
    assert (ended.status, "does not match its SHA-256" in ended.stderr) == (1, True)
    research.unlink()
    ended = call("predict", "a.wav", "--model", "research")
    assert ended.status == 1
    assert "get research.onnx from example.org" in ended.stderr
    assert str(research.parent) in ended.stderr
    ended = call("info", "base")
    assert (ended.status, "this release has no model 'base'" in ended.stderr) == (1, True)


def test_another_file_under_a_name_is_refused(
    research: Path, voice_model: Path, call: Call
) -> None:
    research.write_bytes(voice_model.read_bytes())
    for command in (("info", "research"), ("predict", "a.wav", "--model", "research")):
        ended = call(*command)
        assert ended.status == 1
        assert "expected" in ended.stderr
        assert "the model 'research' of this release" in ended.stderr


def test_the_models_of_this_release_are_read() -> None:
    named = named_models.read_named_models()
    assert {"base", "research"} <= set(named)
    for model in named.values():
        assert model.sha256 is None or re.fullmatch("[0-9a-f]{64}", model.sha256)
        assert model.file.endswith(".onnx")
