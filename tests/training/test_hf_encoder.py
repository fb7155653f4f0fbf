import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from tests.training.tiny_encoders import KINDS, WIDTH, make_model, make_voice, save_encoder

from emovox.errors import EncoderError, ExportError
from emovox.recipes.settings import HuggingFaceSettings
from emovox.training import hf_encoder
from emovox.training.hf_encoder import HuggingFaceEncoder, HuggingFaceFrontend, trace_encoder
from emovox.training.hf_files import EncoderFiles, find_encoder_files
from emovox.training.hf_states import PooledWhisperEncoder, load_encoder

pytest.importorskip("transformers", reason="the extra hf is not installed")


def find_files(folder: Path, *layers: int) -> EncoderFiles:
    return find_encoder_files(HuggingFaceSettings(name=str(folder), layers=layers))


def normalize(waveform: torch.Tensor) -> torch.Tensor:
    """Do what Wav2Vec2FeatureExtractor does."""
    return (waveform - waveform.mean()) / torch.sqrt(waveform.var(correction=0) + 1e-7)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "whisper"])
def test_hidden_states_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    save_encoder(tmp_path, kind)
    waveform = torch.from_numpy(make_voice(9_000))[None]
    padded = torch.nn.functional.pad(normalize(waveform), (200, 200))
    with torch.inference_mode():
        expected = make_model(kind)(padded, output_hidden_states=True).hidden_states
        whole = load_encoder(find_files(tmp_path, 1, 2)).compute_states(waveform)
        half = load_encoder(find_files(tmp_path, 1)).compute_states(waveform)
    assert [state.shape for state in whole] == [(1, 9_000 // 320 + 1, WIDTH)] * 2
    torch.testing.assert_close(whole[0], expected[1], rtol=0, atol=1e-5)
    # Without the second block nothing changes behind the first.
    torch.testing.assert_close(half[0], expected[1], rtol=0, atol=1e-5)
    assert len(half) == 1
    if not kind.endswith("large"):
        torch.testing.assert_close(whole[1], expected[2], rtol=0, atol=1e-5)


def test_whispers_hidden_states_are_those_of_transformers(tmp_path: Path) -> None:
    # 50 positions are 100 frames: transformers then takes 1 s where it would take 30.
    save_encoder(tmp_path, "whisper", max_source_positions=50)
    waveform = torch.from_numpy(make_voice(15_900))[None]
    encoder = load_encoder(find_files(tmp_path, 1, 2))
    assert isinstance(encoder, PooledWhisperEncoder)
    model = make_model("whisper", max_source_positions=50).get_encoder()
    with torch.inference_mode():
        states = encoder.compute_states(waveform)
        mel = encoder.log_mel(waveform).transpose(1, 2)
        expected = model(mel, output_hidden_states=True)
        last = model.layer_norm(states[1])
    assert states[0].shape == (1, 50, WIDTH)
    torch.testing.assert_close(states[0], expected.hidden_states[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(last, expected.last_hidden_state, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["wavlm", "whisper"])
def test_the_embedding_is_mean_and_deviation_over_frames_with_speech(
    kind: str, tmp_path: Path
) -> None:
    save_encoder(tmp_path, kind)
    encoder = load_encoder(find_files(tmp_path, 1, 2))
    samples = make_voice(16_000)
    samples[8_000:] *= 1e-3
    waveform = torch.from_numpy(samples)[None]
    with torch.inference_mode():
        embedding = encoder(waveform)[0].reshape(2, 2, WIDTH).numpy()  # (layer, statistic, width)
        states = [state[0].numpy() for state in encoder.compute_states(waveform)]
    power = np.pad(samples - samples.mean(), 200)
    window, hop = (400, 320) if kind == "wavlm" else (320, 320)
    start = 0 if kind == "wavlm" else 40
    levels = np.array(
        [np.mean(power[i * hop + start :][:window] ** 2) for i in range(len(states[0]))]
    )
    speech = levels >= levels.max() * 10**-3.5
    assert 5 < speech.sum() < len(speech) / 2 + 2
    for layer, state in enumerate(states):
        np.testing.assert_allclose(embedding[layer, 0], state[speech].mean(0), atol=1e-4)
        np.testing.assert_allclose(embedding[layer, 1], state[speech].std(0), atol=1e-3)


def test_the_front_end_has_no_weights_of_its_own(tmp_path: Path) -> None:
    save_encoder(tmp_path, "hubert")
    frontend = HuggingFaceFrontend(HuggingFaceSettings(name=str(tmp_path)))
    frontend(torch.zeros(1, 800))
    assert frontend.state_dict() == {}


def test_other_weights_are_another_encoder(tmp_path: Path) -> None:
    settings = HuggingFaceSettings(name=str(tmp_path / "mine"))
    names = set()
    for seed in (0, 1):
        save_encoder(tmp_path / "mine", "wav2vec2", seed)
        names.add(HuggingFaceEncoder(settings).name)
    assert len(names) == 2
    assert all(name.startswith("hf-mine-") for name in names)


def test_missing_weights_are_not_made_up(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = save_encoder(tmp_path, "hubert") / "model.safetensors"
    weights = load_file(path)
    lacking = {k: v for k, v in weights.items() if "layers.1.attention.k_proj" not in k}
    assert len(weights) - len(lacking) == 2
    save_file(lacking, path, {"format": "pt"})
    with pytest.raises(EncoderError, match=r"lack encoder.layers.1.attention.k_proj.bias and 1 mo"):
        load_encoder(find_files(tmp_path))


def test_a_mask_that_only_pre_training_needs_may_be_missing(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = save_encoder(tmp_path, "hubert") / "model.safetensors"
    weights = load_file(path)
    assert weights.pop("masked_spec_embed").shape == (WIDTH,)
    save_file(weights, path, {"format": "pt"})
    assert load_encoder(find_files(tmp_path)).layers == (1,)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    (save_encoder(tmp_path, "hubert") / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(EncoderError, match="transformers cannot load it"):
        load_encoder(find_files(tmp_path))


def test_other_frames_than_wav2vecs_are_refused(tmp_path: Path) -> None:
    save_encoder(tmp_path, "wav2vec2", conv_stride=(5, 2, 2, 2, 2, 2, 1))
    with pytest.raises(EncoderError, match="frames of 400 samples every 160; expected 400 every 3"):
        load_encoder(find_files(tmp_path))


def test_an_encoder_over_2_gb_is_refused_before_it_is_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_encoder(tmp_path, "hubert")
    monkeypatch.setattr(hf_encoder, "MAX_BYTES", 10_000)
    monkeypatch.setattr(hf_encoder, "trace_module", None)
    with pytest.raises(ExportError, match="up to layer 2, and an ONNX file holds at most 2; name"):
        trace_encoder(find_files(tmp_path, 1, 2))


def test_an_encoder_that_cannot_be_traced_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> bytes:
        raise torch.onnx.OnnxExporterError("unsupported\nand more")

    save_encoder(tmp_path, "hubert")
    monkeypatch.setattr(hf_encoder, "trace_module", fail)
    with pytest.raises(ExportError, match=r"cannot write it as ONNX.*\(unsupported\); use another"):
        trace_encoder(find_files(tmp_path))


def test_a_graph_of_other_answers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = helper.make_tensor("zeros", TensorProto.FLOAT, [1, 2 * WIDTH], [0.0] * 2 * WIDTH)
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["pooled_states"], value=zeros)],
        "silent",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info("pooled_states", TensorProto.FLOAT, [1, 2 * WIDTH])],
    )
    opset = helper.make_opsetid("", 18)
    other = helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString()
    monkeypatch.setattr(hf_encoder, "trace_module", lambda *_: other)
    save_encoder(tmp_path, "hubert")
    with pytest.raises(ExportError, match="ONNX graph differs by .* standard deviations"):
        trace_encoder(find_files(tmp_path))


def test_transformers_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = find_files(save_encoder(tmp_path, "hubert"))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(EncoderError, match=r"needs the package 'transformers'.*emovox\[hf\]"):
        load_encoder(replace(files, digest="another"))
