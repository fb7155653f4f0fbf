"""``emovox adapt`` as a user runs it."""

import json
from pathlib import Path

from tests.cli.conftest import Call
from tests.made_tones import write_labelled_tones

from emovox.recognition.model_file import open_model


def test_the_command_says_what_was_gained(call: Call, voice_model: Path, tmp_path: Path) -> None:
    options = ("--base", voice_model, "--no-vad")
    corpus = write_labelled_tones(tmp_path / "in", apart=False, n=2)
    (tmp_path / "in" / "quiet-1.wav").write_bytes(b"RIFF")
    ended = call("adapt", "--corpus", corpus, *options)
    assert ended.status == 0
    assert "mine-quiet-1: left out: " in ended.stderr
    text = " ".join(ended.stdout.split())
    assert "UAR on speakers left out, 17 clips of 3 speakers" in text
    assert "never predicts shouting" in text
    assert "not better" in text or "may be chance" in text
    assert open_model("adapted.onnx").info.name == "voice-adapted"
    ended = call("adapt", "--corpus", corpus, *options, "--format", "json", "--out", "b.onnx")
    found = json.loads(ended.stdout)
    assert (found["clips"], found["left_out"], found["is_better"]) == (17, "speakers", False)
    assert found["gain"]["low"] <= found["gain"]["value"] <= found["gain"]["high"]
