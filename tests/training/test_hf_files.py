import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from emovox.errors import EncoderError
from emovox.recipes.settings import HuggingFaceSettings
from emovox.training.hf_files import download_encoder, find_encoder_files

CONFIG = {"model_type": "hubert", "num_hidden_layers": 12, "hidden_size": 768}


def write_encoder(folder: Path, config: Any = CONFIG, preprocessor: Any = None) -> Path:
    """Write the files of an encoder whose weights are never loaded."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({"weight": np.zeros(3, np.float32)}, folder / "model.safetensors")
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def settings_of(folder: Path, **more: Any) -> HuggingFaceSettings:
    return HuggingFaceSettings(name=str(folder), **more)


def test_a_folder_is_described_without_loading_it(tmp_path: Path) -> None:
    files = find_encoder_files(settings_of(write_encoder(tmp_path)))
    assert (files.model_type, files.n_blocks, files.width) == ("hubert", 12, 768)
    assert files.layers == (4, 6, 8)
    assert files.n_features == 2 * 3 * 768
    assert files.normalize  # transformers' default, where the folder does not say


@pytest.mark.parametrize(
    ("n_blocks", "layers"), [(1, (1,)), (2, (1,)), (4, (1, 2, 3)), (24, (8, 12, 16))]
)
def test_layers_in_the_middle_are_taken_by_default(
    tmp_path: Path, n_blocks: int, layers: tuple[int, ...]
) -> None:
    folder = write_encoder(tmp_path, CONFIG | {"num_hidden_layers": n_blocks})
    assert find_encoder_files(settings_of(folder)).layers == layers


def test_layers_are_those_of_the_recipe_in_rising_order(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    assert find_encoder_files(settings_of(folder, layers=[9, 2, 9])).layers == (2, 9)
    with pytest.raises(EncoderError, match=r"12 layers; found .* \[13\], expected .* 1 to 12"):
        find_encoder_files(settings_of(folder, layers=[13]))


def test_whisper_counts_the_blocks_of_its_encoder(tmp_path: Path) -> None:
    config = {"model_type": "whisper", "encoder_layers": 4, "decoder_layers": 2, "d_model": 384}
    files = find_encoder_files(settings_of(write_encoder(tmp_path, config)))
    assert (files.n_blocks, files.width, files.normalize) == (4, 384, False)


def test_normalisation_is_what_the_folder_says(tmp_path: Path) -> None:
    preprocessor = {"do_normalize": False, "sampling_rate": 16_000}
    files = find_encoder_files(settings_of(write_encoder(tmp_path, preprocessor=preprocessor)))
    assert not files.normalize


def test_the_digest_changes_with_all_that_changes_an_embedding(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    settings = settings_of(folder)
    digests = [find_encoder_files(settings).digest]
    assert find_encoder_files(settings).digest == digests[0]
    digests.append(find_encoder_files(settings_of(folder, layers=[5])).digest)
    save_file({"weight": np.ones(3, np.float32)}, folder / "model.safetensors")
    digests.append(find_encoder_files(settings).digest)
    write_encoder(folder, CONFIG | {"layer_norm_eps": 1e-3})
    digests.append(find_encoder_files(settings).digest)
    write_encoder(folder, preprocessor={"do_normalize": False})
    digests.append(find_encoder_files(settings).digest)
    assert len(set(digests)) == 5


def test_a_copy_elsewhere_has_the_same_digest(tmp_path: Path) -> None:
    first, second = (write_encoder(tmp_path / name) for name in ("a", "b"))
    digests = {find_encoder_files(settings_of(folder)).digest for folder in (first, second)}
    assert len(digests) == 1


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="no safetensors weights.*frontend.revision=refs/pr/1"):
        find_encoder_files(settings_of(folder))


def test_weights_in_parts_are_hashed_all(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    save_file({"other": np.zeros(3, np.float32)}, folder / "model-00002-of-00002.safetensors")
    before = find_encoder_files(settings_of(folder)).digest
    save_file({"other": np.ones(3, np.float32)}, folder / "model-00002-of-00002.safetensors")
    assert find_encoder_files(settings_of(folder)).digest != before


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "bert"}, "type 'bert'; expected a speech encoder of type wav2vec2, hubert"),
        ({}, "type None; expected"),
        ([], "holds no table"),
    ],
)
def test_other_models_are_refused(tmp_path: Path, config: Any, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        find_encoder_files(settings_of(write_encoder(tmp_path, config)))


def test_another_rate_is_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path, preprocessor={"sampling_rate": 8_000})
    with pytest.raises(EncoderError, match="expects 8000 Hz; use an encoder for 16000 Hz"):
        find_encoder_files(settings_of(folder))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot read config.json.*save_pretrained"):
        find_encoder_files(settings_of(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(EncoderError, match="cannot read config.json"):
        find_encoder_files(settings_of(tmp_path))


def test_a_path_that_is_not_there_is_no_name_on_the_hub(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no folder '.*/missing'; expected a folder with"):
        find_encoder_files(settings_of(tmp_path / "missing"))


def test_a_folder_has_no_revision(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="is a folder, and frontend.revision 'main'.*leave"):
        find_encoder_files(settings_of(write_encoder(tmp_path), revision="main"))


def test_a_name_is_downloaded_once_at_its_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the extra hf is not installed")
    folder, asked = write_encoder(tmp_path), []

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        assert not any("bin" in pattern or pattern.startswith("*") for pattern in allow_patterns)
        return str(folder)

    monkeypatch.setattr(hub, "snapshot_download", download)
    download_encoder.cache_clear()
    settings = HuggingFaceSettings(name="someone/encoder", revision="refs/pr/2")
    assert find_encoder_files(settings) == find_encoder_files(settings)
    assert find_encoder_files(settings).folder == folder
    find_encoder_files(HuggingFaceSettings(name="someone/encoder"))
    assert asked == [("someone/encoder", "refs/pr/2"), ("someone/encoder", None)]
    download_encoder.cache_clear()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("LocalEntryNotFoundError", "not in the cache .* cannot be reached; go online, or"),
        ("RevisionNotFoundError", "has no revision 'v9'"),
        ("RepositoryNotFoundError", "no model 'someone/encoder' on the Hugging Face hub"),
        ("HfHubHTTPError", r"cannot be downloaded \(503 busy\); try again"),
    ],
)
def test_what_the_hub_refuses_is_said_plainly(
    monkeypatch: pytest.MonkeyPatch, kind: str, message: str
) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the extra hf is not installed")

    def download(*_: Any, **__: Any) -> str:
        # The real ones want the server's answer.
        body = {"__str__": lambda _: "503 busy"}
        error: Any = type("Raised", (getattr(hub.errors, kind),), body)
        raise error.__new__(error)

    monkeypatch.setattr(hub, "snapshot_download", download)
    download_encoder.cache_clear()
    with pytest.raises(EncoderError, match=message):
        find_encoder_files(HuggingFaceSettings(name="someone/encoder", revision="v9"))


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    download_encoder.cache_clear()
    with pytest.raises(EncoderError, match=r"needs the package 'huggingface_hub'.*emovox\[hf\]"):
        find_encoder_files(HuggingFaceSettings(name="someone/encoder"))
