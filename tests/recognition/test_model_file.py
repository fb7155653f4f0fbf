"""Loading a model file: whole or not at all."""

import hashlib
import json
import math
import random
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from emovox.errors import ModelFileError
from emovox.export.metadata import seal_proto
from emovox.recognition import model_file
from emovox.recognition.model_file import (
    METADATA_PREFIX,
    ModelInfo,
    find_default_model,
    hash_clip_names,
    open_model,
    open_model_bytes,
    read_info,
)
from emovox.recognition.model_info import CorpusCredit, ReferencePrior
from emovox.recognition.seal import SEAL_BYTES, SEAL_KEY, seal_model

KEYS = (
    "name",
    "labels",
    "sample_rate_hz",
    "temperature",
    "min_confidence",
    "training_corpora",
    "training_clips",
    "training_clips_sha256",
    "scores",
    "recipe",
    "licence",
    "format_version",
)
LATER_KEYS = (
    "training_speakers",
    "encoder_training",
    "encoder_licence",
    "corpora",
    "reference",
)
"""Entries that files written before them lack."""
PRIOR = asdict(ReferencePrior())


@pytest.fixture
def metadata(loudness_model: Path) -> dict[str, str]:
    return open_model(loudness_model).info.to_metadata()


def rewrite(source: Path, target: Path, **changes: Any) -> Path:
    """Copy a model file with other metadata; ``None`` leaves an entry out."""
    proto = onnx.load(source)
    entries = {p.key: p.value for p in proto.metadata_props}
    for key, value in changes.items():
        entries[METADATA_PREFIX + key] = value
    del proto.metadata_props[:]
    helper.set_model_props(proto, {k: v for k, v in entries.items() if v is not None})
    target.write_bytes(seal_proto(proto))
    return target


def test_a_model_file_tells_what_was_written(loudness_model: Path) -> None:
    info = open_model(loudness_model).info
    assert info.labels == ("quiet", "loud")
    assert info.sample_rate_hz == 8_000
    assert info.training_corpora == ("none",)
    assert info.training_clips_sha256 == hashlib.sha256(b"a\nb").hexdigest()
    (score,) = info.scores
    assert str(score) == (
        "UA 50.0 (95% interval 25.0 to 75.0), reference v1, speaker-dependent, 1 seed, "
        "36 clips of 4 speakers"
    )
    assert read_info(loudness_model, info.to_metadata()) == info


def test_every_entry_of_the_metadata_is_json(metadata: dict[str, str]) -> None:
    assert sorted(metadata) == sorted(METADATA_PREFIX + key for key in (*KEYS, *LATER_KEYS))
    for value in metadata.values():
        json.loads(value)


def test_the_hash_of_clip_names_does_not_depend_on_their_order() -> None:
    assert hash_clip_names(["b", "a"]) == hash_clip_names(["a", "b"])
    assert hash_clip_names(["a", "b"]) != hash_clip_names(["a", "c"])


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_entry_is_refused(metadata: dict[str, str], key: str) -> None:
    del metadata[METADATA_PREFIX + key]
    with pytest.raises(ModelFileError, match=rf"model\.onnx: .*{key}"):
        read_info(Path("model.onnx"), metadata)


def test_an_unknown_entry_is_refused(metadata: dict[str, str]) -> None:
    metadata[METADATA_PREFIX + "mood"] = "1"
    with pytest.raises(ModelFileError, match="unknown mood"):
        read_info(Path("model.onnx"), metadata)


@pytest.mark.parametrize("key", LATER_KEYS)
def test_a_file_of_the_version_before_may_lack_later_entries(
    metadata: dict[str, str], key: str
) -> None:
    del metadata[METADATA_PREFIX + key]
    with pytest.raises(ModelFileError, match=rf"metadata lacks {key}"):
        read_info(Path("model.onnx"), metadata)
    metadata[METADATA_PREFIX + "format_version"] = "3"
    info = read_info(Path("model.onnx"), metadata)
    assert not getattr(info, key)
    assert info.format_version == 3


def test_what_a_reference_counts_is_read_back_and_needs_the_inputs(
    voice_model: Path, loudness_model: Path, tmp_path: Path
) -> None:
    model = open_model(voice_model)
    assert model.n_features == 2
    assert model.sha256 == hashlib.sha256(voice_model.read_bytes()).hexdigest()
    assert model.n_bytes == voice_model.stat().st_size
    assert read_info(voice_model, model.info.to_metadata()) == model.info
    # Metadata and network must agree on whether there is a reference.
    path = rewrite(voice_model, tmp_path / "m.onnx", reference="null")
    with pytest.raises(ModelFileError, match=r"'reference'.*expected nothing else"):
        open_model(path)
    path = rewrite(loudness_model, tmp_path / "m.onnx", reference=json.dumps(PRIOR))
    with pytest.raises(ModelFileError, match=r"embedding of 0 features and takes \[\].*expected"):
        open_model(path)


def test_the_weight_of_a_reference_grows_with_what_is_known() -> None:
    prior = ReferencePrior(1.0, 3.0, 0.8, 1.0, 0.4, 0.1, 0.3)
    assert [prior.weigh("neutral", n, 9.0) for n in (1, 3)] == [0.4, 0.6]
    assert [prior.weigh("unlabelled", 1, spread) for spread in (0.0, 0.1, 0.2, 0.3, 2.0)] == [
        pytest.approx(weight / 4) for weight in (0.4, 0.4, 0.7, 1.0, 1.0)
    ]


@pytest.mark.parametrize(
    ("licence", "restricted"),
    [
        ("CC BY-NC-SA 4.0", True),
        ("for non-commercial use", True),
        ("public, for research", True),
        ("licence not stated; ask its authors", True),
        ("CC BY 4.0", False),
        ("ODbL 1.0, contents DbCL 1.0", False),
        ("by Ncube, INC", False),
    ],
)
def test_licences_that_restrict_use_are_found(
    loudness_model: Path, licence: str, restricted: bool
) -> None:
    info = open_model(loudness_model).info
    credit = CorpusCredit("a", licence, "", "")
    assert replace(info, licence=licence).is_non_commercial is restricted
    assert replace(info, corpora=(credit,)).is_non_commercial is restricted


def test_the_ledger_reads_back(metadata: dict[str, str]) -> None:
    metadata[METADATA_PREFIX + "training_speakers"] = json.dumps(["1", "nemo-EB0"])
    metadata[METADATA_PREFIX + "encoder_training"] = json.dumps("On nothing.")
    info = read_info(Path("model.onnx"), metadata)
    assert info.training_speakers == ("1", "nemo-EB0")
    assert info.encoder_training == "On nothing."
    assert read_info(Path("model.onnx"), info.to_metadata()) == info


@pytest.mark.parametrize("key", (*KEYS, *LATER_KEYS))
def test_an_entry_that_is_no_json_is_refused(metadata: dict[str, str], key: str) -> None:
    metadata[METADATA_PREFIX + key] = "{"
    with pytest.raises(ModelFileError, match="malformed metadata"):
        read_info(Path("model.onnx"), metadata)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 3),
        ("labels", "ab"),
        ("labels", ["one"]),
        ("labels", ["same", "same"]),
        ("labels", [1, 2]),
        ("labels", {"a": 1, "b": 2}),
        ("labels", None),
        ("sample_rate_hz", 8_000.0),
        ("sample_rate_hz", 0),
        ("sample_rate_hz", 10**9),
        ("sample_rate_hz", "8000"),
        ("temperature", 0),
        ("temperature", -1.0),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", True),
        ("min_confidence", -0.1),
        ("min_confidence", 1.1),
        ("min_confidence", math.nan),
        ("min_confidence", None),
        ("training_corpora", "ravdess"),
        ("training_corpora", [1]),
        ("training_speakers", "1"),
        ("training_speakers", None),
        ("encoder_training", None),
        ("training_clips", -1),
        ("training_clips", 1.5),
        ("training_clips", True),
        ("training_clips_sha256", "abc"),
        ("training_clips_sha256", 5),
        ("recipe", None),
        ("licence", ["MIT"]),
        ("encoder_licence", 1),
        ("corpora", None),
        ("corpora", [{"name": "a", "licence": "b", "credit": "c"}]),
        ("corpora", [{"name": "a", "licence": "b", "credit": "c", "url": 1}]),
        ("corpora", ["a"]),
        ("reference", 1),
        ("reference", {}),
        ("reference", {**PRIOR, "neutral_prior": -1}),
        ("reference", {**PRIOR, "neutral_weight": 1.1}),
        ("reference", {**PRIOR, "high_spread": 0.0}),
        ("reference", {**PRIOR, "low_spread": "0"}),
        ("scores", 5),
        ("scores", [5]),
        ("scores", [{"name": "UA"}]),
    ],
)
def test_a_malformed_entry_is_refused(metadata: dict[str, str], key: str, value: Any) -> None:
    metadata[METADATA_PREFIX + key] = json.dumps(value)
    with pytest.raises(ModelFileError, match=r"model\.onnx: malformed metadata"):
        read_info(Path("model.onnx"), metadata)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("value", math.nan),
        ("value", 50.0),
        ("low", -0.1),
        ("high", "1"),
        ("protocol", None),
        ("speaker_independent", 1),
        ("n_seeds", -1),
        ("n_clips", True),
        ("n_speakers", 4.0),
    ],
)
def test_a_malformed_score_is_refused(metadata: dict[str, str], key: str, value: Any) -> None:
    (score,) = json.loads(metadata[METADATA_PREFIX + "scores"])
    metadata[METADATA_PREFIX + "scores"] = json.dumps([{**score, key: value}])
    with pytest.raises(ModelFileError, match=f"a score's {key} is"):
        read_info(Path("model.onnx"), metadata)


def test_metadata_nested_beyond_reason_is_refused(metadata: dict[str, str]) -> None:
    metadata[METADATA_PREFIX + "scores"] = "[" * 100_000
    with pytest.raises(ModelFileError, match="malformed metadata"):
        read_info(Path("model.onnx"), metadata)


def test_another_format_version_says_what_to_do(loudness_model: Path, tmp_path: Path) -> None:
    # A later format may have other entries: the version is looked at first.
    path = rewrite(loudness_model, tmp_path / "m.onnx", format_version="5", name=None, mood="1")
    with pytest.raises(ModelFileError, match="format 5; this emovox reads 3 and 4: install the"):
        open_model(path)


def test_an_onnx_file_of_another_program_is_refused(loudness_model: Path, tmp_path: Path) -> None:
    path = rewrite(loudness_model, tmp_path / "m.onnx", **dict.fromkeys((*KEYS, *LATER_KEYS)))
    with pytest.raises(ModelFileError, match="without emovox metadata"):
        open_model(path)


def test_metadata_that_contradicts_the_network_is_refused(
    loudness_model: Path, tmp_path: Path
) -> None:
    path = rewrite(loudness_model, tmp_path / "m.onnx", labels='["a", "b", "c"]')
    with pytest.raises(ModelFileError, match="gives 2 classes, its metadata names 3"):
        open_model(path)


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [
        ("audio", TensorProto.FLOAT, ["batch", "samples"]),
        ("waveform", TensorProto.DOUBLE, ["batch", "samples"]),
        ("waveform", TensorProto.FLOAT, ["batch", 1, "samples"]),
    ],
)
def test_another_input_is_refused(
    metadata: dict[str, str], tmp_path: Path, name: str, kind: int, shape: list[Any]
) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], ["probabilities"])],
        "identity",
        [helper.make_tensor_value_info(name, kind, shape)],
        [helper.make_tensor_value_info("probabilities", kind, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, metadata)
    (tmp_path / "m.onnx").write_bytes(seal_proto(model))
    with pytest.raises(ModelFileError, match=r"found input .* expected waveform \(batch, samples"):
        open_model(tmp_path / "m.onnx")


def test_a_second_output_is_refused(loudness_model: Path, tmp_path: Path) -> None:
    proto = onnx.load(loudness_model)
    extra = helper.make_tensor_value_info("loud", TensorProto.FLOAT, ["batch", 1])
    proto.graph.output.append(extra)
    (tmp_path / "m.onnx").write_bytes(seal_proto(proto))
    with pytest.raises(ModelFileError, match="and output .*'loud'"):
        open_model(tmp_path / "m.onnx")


@pytest.mark.parametrize("content", [b"", b"RIFF....WAVE", b"\x08" * 1_000])
def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"m\.onnx: not a usable ONNX model"):
        open_model(path)


def test_a_file_cut_short_is_refused(loudness_model: Path, tmp_path: Path) -> None:
    content = loudness_model.read_bytes()
    path = tmp_path / "m.onnx"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError, match=r"m\.onnx"):
        open_model(path)


def test_a_folder_or_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="Is a directory.*expected a model.onnx"):
        open_model(tmp_path)
    with pytest.raises(ModelFileError, match="No such file"):
        open_model(tmp_path / "none.onnx")


def test_a_file_over_the_limit_is_refused(
    loudness_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = loudness_model.stat().st_size
    monkeypatch.setattr(model_file, "MAX_MODEL_BYTES", size)
    assert isinstance(open_model(loudness_model).info, ModelInfo)
    monkeypatch.setattr(model_file, "MAX_MODEL_BYTES", size - 1)
    with pytest.raises(ModelFileError, match=f"{size:,} bytes; expected .* at most {size - 1:,}"):
        open_model(loudness_model)


def test_what_has_no_end_is_refused() -> None:
    with pytest.raises(ModelFileError, match="/dev/zero: a device or a pipe; expected"):
        open_model("/dev/zero")


def test_weights_outside_the_file_are_not_read(loudness_model: Path, tmp_path: Path) -> None:
    proto = onnx.load(loudness_model)
    (tmp_path / "secret").write_bytes(b"\0\0\x80\x3f")
    tensor = proto.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret")
    path = tmp_path / "m.onnx"
    path.write_bytes(seal_proto(proto))
    with pytest.raises(ModelFileError, match="not a usable ONNX model"):
        open_model(path)


def test_the_default_model_lies_in_the_package() -> None:
    assert find_default_model().parts[-3:] == ("emovox", "assets", "default.onnx")


def test_any_flipped_bit_is_refused(loudness_model: Path) -> None:
    whole = loudness_model.read_bytes()
    open_model_bytes(whole, loudness_model)
    places = random.Random(0).sample(range(8 * len(whole)), 400)  # noqa: S311
    # All of the seal, whose own bits are the least protected ones.
    places += range(8 * (len(whole) - SEAL_BYTES), 8 * len(whole))
    for place in places:
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        with pytest.raises(ModelFileError) as found:
            open_model_bytes(bytes(content), loudness_model)
        assert found.value.code == "model.damaged", place


def test_a_flipped_bit_in_the_default_model_is_refused_before_it_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_file, "open_session", lambda *_, **__: pytest.fail("opened"))
    whole = find_default_model().read_bytes()
    for place in random.Random(1).sample(range(8 * len(whole)), 20):  # noqa: S311
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        with pytest.raises(ModelFileError, match="does not match its SHA-256.*copy it again"):
            open_model_bytes(bytes(content), Path("m.onnx"))


@pytest.mark.parametrize("more", [b"\0", b"\x72\x00"])
def test_a_file_with_something_after_its_seal_is_refused(loudness_model: Path, more: bytes) -> None:
    with pytest.raises(ModelFileError, match="does not match its SHA-256"):
        open_model_bytes(loudness_model.read_bytes() + more, loudness_model)


def test_a_file_without_a_seal_is_refused(loudness_model: Path) -> None:
    with pytest.raises(ModelFileError, match="does not match its SHA-256"):
        open_model_bytes(loudness_model.read_bytes()[:-SEAL_BYTES], loudness_model)


def test_a_file_written_before_seals_is_of_another_version(
    loudness_model: Path, tmp_path: Path
) -> None:
    path = rewrite(loudness_model, tmp_path / "m.onnx", format_version="2")
    with pytest.raises(ModelFileError, match="model file format 2") as found:
        open_model_bytes(path.read_bytes()[:-SEAL_BYTES], path)
    assert found.value.code == "model.version"


def test_the_seal_is_metadata_that_other_programs_read(loudness_model: Path) -> None:
    entry = onnx.load(loudness_model).metadata_props[-1]
    body = loudness_model.read_bytes()[:-SEAL_BYTES]
    assert (entry.key, json.loads(entry.value)) == (SEAL_KEY, hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize("text", [b'"loudness"', b"emovox.name"])
def test_metadata_that_are_not_utf8_are_refused(loudness_model: Path, text: bytes) -> None:
    body = loudness_model.read_bytes()[:-SEAL_BYTES]
    assert body.count(text) == 1
    content = seal_model(body.replace(text, text[:-2] + b"\xff" + text[-1:]))
    with pytest.raises(ModelFileError, match="codec can't decode") as found:
        open_model_bytes(content, loudness_model)
    assert found.value.code == "model.damaged"


@pytest.mark.parametrize(
    ("shape", "found"), [(["batch", 8_000], r"\(batch, 8000\)"), ([2, "samples"], r"\(2, samples")]
)
def test_a_fixed_length_or_batch_is_refused(
    loudness_model: Path, tmp_path: Path, shape: list[Any], found: str
) -> None:
    proto = onnx.load(loudness_model)
    proto.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("waveform", TensorProto.FLOAT, shape)
    )
    (tmp_path / "m.onnx").write_bytes(seal_proto(proto))
    with pytest.raises(ModelFileError, match=f"takes a waveform of shape {found}.*dynamic length"):
        open_model(tmp_path / "m.onnx")
