"""Lists as people have them: speakers spelt two ways, audio twice, silent clips, Excel's tables."""

import csv
import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from emovox.corpora.folds import Protocol
from emovox.corpora.splits import format_split
from emovox.errors import CorpusError, ProtocolError
from emovox.experiments.folds import load_protocol
from emovox.recipes.recipe import format_change, load_recipe
from emovox.runs.folder import CALIBRATION_NAME

LABELS = {"angry": 500, "happy": 900, "sad": 1_500}
SPEAKERS = ("EB0", "IC0", "KD0", "KD1")
Row = dict[str, str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two takes of each label by each speaker: a tone for each label."""
    rng = np.random.default_rng(8)
    time_s = np.arange(2_400) / 8_000
    (tmp_path / "lists" / "clips").mkdir(parents=True)
    for row in make_rows():
        noise = 0.02 * rng.uniform(-1, 1, len(time_s))
        samples = 0.3 * np.sin(2 * np.pi * LABELS[row["emotion"]] * time_s) + noise
        sf.write(tmp_path / "lists" / row["file"], samples, 8_000, subtype="PCM_16")
    return tmp_path / "lists"


def make_rows() -> list[Row]:
    return [
        {"file": f"clips/{who}_{label}_{take}.wav", "emotion": label, "speaker": who}
        for who, label, take in itertools.product(SPEAKERS, LABELS, (1, 2))
    ]


def write_list(
    path: Path, rows: Sequence[Row], *, encoding: str = "utf-8", first: str = "", by: str = ","
) -> Path:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        file.write(first)
        writer = csv.DictWriter(file, list(rows[0]), delimiter=by)
        writer.writeheader()
        writer.writerows(rows)
    return path


def load(tiny_recipe_file: Path, manifest: Path, protocol: str, **options: Any) -> Protocol:
    changes = [format_change("data.corpora", [str(manifest)]), f"data.protocol={protocol}"]
    return load_protocol(load_recipe(tiny_recipe_file, changes), None, **options)


def spell(names: Callable[[int, str], str]) -> list[Row]:
    return [row | {"speaker": names(i, row["speaker"])} for i, row in enumerate(make_rows())]


NUMBERS = ("{}", "{:02d}", "{}.0")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (spell(lambda i, who: who.lower() if i % 2 else who), "'EB0' = 'eb0'; 'IC0' = 'ic0'; "),
        (
            spell(lambda i, who: NUMBERS[i % 3].format(SPEAKERS.index(who) + 1)),
            "'1' = '01' = '1.0'; '2' = '02' = '2.0'; '3' = '03' = '3.0' and 1 more look like",
        ),
    ],
)
def test_speakers_spelt_two_ways_are_refused_until_said_to_differ(
    rows: list[Row], message: str, folder: Path, call: Any, tiny_recipe_file: Path
) -> None:
    manifest = write_list(folder / "two.csv", rows)
    verified = call("data", "verify", manifest)
    assert verified.status == 1
    assert f"speakers alike     24  refused  the speakers {message}" in verified.stdout
    answer = call("train", "--recipe", tiny_recipe_file, "--corpus", manifest)
    assert answer.status == 1
    (line,) = answer.stderr.splitlines()
    assert message in line and "write each name in one way, or pass --allow-similar" in line
    allowed = load(tiny_recipe_file, manifest, "loso", allow_similar_speakers=True)
    assert len(allowed.folds) == len({row["speaker"] for row in rows})
    assert allowed.check is not None
    assert "taken as different people, as requested" in "\n".join(allowed.check.describe())


def test_empty_speaker_cells_are_refused_by_protocols_over_speakers(
    folder: Path, call: Any, tiny_recipe_file: Path
) -> None:
    rows = spell(lambda i, who: who if i % 3 else "")
    manifest = write_list(folder / "cells.csv", rows)
    answer = call("train", "--recipe", tiny_recipe_file, "--corpus", manifest)
    assert answer.status == 1
    assert "loso tests unseen speakers, but 8 of 24 clips do not say who speaks" in answer.stderr
    protocol = load(tiny_recipe_file, manifest, "random-10")
    assert not protocol.speaker_independent
    assert protocol.check is not None
    assert "8 clips of 24 without a speaker" in "\n".join(protocol.check.describe())


def test_equal_audio_is_one_clip_whatever_its_format(folder: Path, tiny_recipe_file: Path) -> None:
    plain = load(tiny_recipe_file, write_list(folder / "l.csv", make_rows()), "random-10")
    copies = []
    for number, row in enumerate(make_rows()):
        samples, rate_hz = sf.read(folder / row["file"], dtype="int16")
        suffix = ("wav", "flac")[number % 2]
        copy = f"again/{Path(row['file']).stem}.{suffix}"
        (folder / "again").mkdir(exist_ok=True)
        sf.write(folder / copy, samples, rate_hz, subtype="PCM_16")
        copies.append(row | {"file": copy})
    # The same name, so that the clips have the same names.
    both = write_list(folder / "l.csv", [*make_rows(), *copies])
    twice = load(tiny_recipe_file, both, "random-10")
    assert format_split(twice) == format_split(plain)
    assert twice.check is not None
    (found,) = (f for f in twice.check.findings if f.check == "copies")
    assert (found.clips, len(found.files)) == (24, 24)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("emotion", "sad", "EB0_angry_1.wav is angry, but again.flac, the same audio, is sad"),
        ("speaker", "KD1", "is l-EB0, but again.flac, the same audio, is l-KD1; expected one"),
    ],
)
def test_equal_audio_under_two_labels_or_speakers_is_named(
    column: str, value: str, message: str, folder: Path, tiny_recipe_file: Path
) -> None:
    samples, rate_hz = sf.read(folder / "clips/EB0_angry_1.wav", dtype="int16")
    sf.write(folder / "again.flac", samples, rate_hz, subtype="PCM_16")
    rows = [*make_rows(), make_rows()[0] | {"file": "again.flac", column: value}]
    with pytest.raises(CorpusError, match=message) as refused:
        load(tiny_recipe_file, write_list(folder / "l.csv", rows), "loso")
    assert refused.value.code == "corpus.contradiction"


def test_a_corpus_copied_into_itself_counts_once(folder: Path, call: Any) -> None:
    for label in LABELS:
        (folder / "tree" / label).mkdir(parents=True)
        shutil.copy(folder / "clips" / f"EB0_{label}_1.wav", folder / "tree" / label)
    shutil.copytree(folder / "tree", folder / "tree" / "dataset_copy")
    answer = call("data", "verify", folder / "tree", "--format", "json")
    found = {f["check"]: f for f in json.loads(answer.stdout)["findings"]}
    assert found["copies"]["clips"] == 3
    assert "equal audio is one clip: dataset_copy/" in found["copies"]["detail"]


def test_columns_have_their_usual_names_in_any_case_and_others_are_named(
    folder: Path, tiny_recipe_file: Path
) -> None:
    rows = [
        {"File": row["file"], "EMOTION": row["emotion"], "Speaker": row["speaker"], "room": "1"}
        for row in make_rows()
    ]
    protocol = load(tiny_recipe_file, write_list(folder / "l.csv", rows), "loso")
    assert [fold.test[0].speaker for fold in protocol.folds] == [f"l-{who}" for who in SPEAKERS]
    assert protocol.check is not None
    assert "l: columns not read: room" in [f.detail for f in protocol.check.findings]


def test_labels_that_contradict_file_names_are_counted(
    tiny_corpus: Path, tmp_path: Path, call: Any
) -> None:
    codes = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
    rows = [
        {"file": str(path), "emotion": codes[int(path.name[6:8]) % 8]}
        for path in sorted(tiny_corpus.rglob("*.wav"))
    ]
    answer = call("data", "verify", write_list(tmp_path / "shifted.csv", rows))
    assert answer.status == 0
    line = next(row for row in answer.stdout.splitlines() if row.startswith("labels against names"))
    assert "96  warning" in line
    assert "is listed as calm, but its name says neutral (and 95 more)" in line


@pytest.fixture
def spoilt(folder: Path) -> Path:
    """Return a list with five silent clips, of several labels, and one of NaN."""
    rows = make_rows()
    for i, row in enumerate(rows):
        if i % 5 == 0:
            row["file"] = f"clips/silent_{i}.wav"
            sf.write(folder / row["file"], np.zeros(8_000), 8_000)
    rows[13]["file"] = "clips/not_a_number.wav"
    sf.write(folder / rows[13]["file"], np.full(8_000, np.nan), 8_000, subtype="FLOAT")
    return write_list(folder / "spoilt.csv", rows)


def test_a_run_leaves_out_silent_and_broken_clips_and_opens_from_anywhere(
    spoilt: Path, call: Any, tiny_recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--protocol", "loso", "--splits", "1", "--out", "run")
    relative = spoilt.relative_to(tmp_path)
    answer = call("train", "--recipe", tiny_recipe_file, "--corpus", f"./{relative}", *options)
    assert answer.status == 0, answer.stderr
    lines = [" ".join(line.split()) for line in answer.stderr.splitlines()]
    assert "cannot be decoded 1 left out clips/not_a_number.wav holds NaN or infinite" in "".join(
        line[:73] for line in lines if line.startswith("cannot")
    )
    assert any(line.startswith("silent 5 left out clips/silent_0.wav is silent") for line in lines)
    assert "4 clips of 1 speaker" in answer.stdout
    found = json.loads((tmp_path / "run" / "corpus.json").read_text())
    assert (found["clips"], found["speakers"]) == (18, 4)
    assert found["corpora"] == [
        {
            "name": "./lists/spoilt.csv",
            "absolute": str(tmp_path / relative),
            "relative": "../lists/spoilt.csv",
        }
    ]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "What the check of the clips found" in page
    assert "clips/silent_0.wav is silent" in page and str(tmp_path) not in page
    definition = json.loads((tmp_path / "run" / "metrics.json").read_text())["definitions"]
    assert definition["macro_f1"].startswith("mean F1 over the classes with test clips")

    # From another folder, then moved with the run, then moved alone.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for command in ("evaluate", "report"):
        again = call(command, "../run")
        assert again.status == 0, again.stderr
    (tmp_path / "project").mkdir()
    shutil.move(tmp_path / "run", tmp_path / "project")
    shutil.move(tmp_path / "lists", tmp_path / "project")
    (tmp_path / "project" / "lists").rename(tmp_path / "project" / "data")
    lost = call("evaluate", "../project/run")
    assert lost.status == 1
    assert "is not there; looked for" in lost.stderr and "with --data" in lost.stderr
    moved = call("evaluate", "../project/run", "--data", "../project/data")
    assert moved.status == 0, moved.stderr
    (tmp_path / "project" / "data").rename(tmp_path / "lists")
    shutil.move(tmp_path / "project" / "run", tmp_path / "elsewhere" / "run")
    exported = call("export", "run", "--format", "onnx", "--out", "again")
    assert exported.status == 0, exported.stderr


def test_no_speech_is_never_right(spoilt: Path, loudness_model: Path) -> None:
    from emovox.corpora.clips import Clip
    from emovox.experiments.predict_clips import predict_clips

    path = spoilt.parent / "clips" / "silent_0.wav"
    clips = [Clip(label, path, "mine", label, "mine-a") for label in ("quiet", "loud")]
    predictions = predict_clips(loudness_model, clips, "01")
    assert predictions.probabilities.tolist() == [[0, 1], [1, 0]]
    assert (predictions.predicted != predictions.true).all()


def test_a_protocol_made_otherwise_is_opened_before_the_first_epoch(
    spoilt: Path, tiny_recipe_file: Path, tmp_path: Path
) -> None:
    from emovox.corpora.protocols import make_protocol
    from emovox.corpora.read import load_clips
    from emovox.experiments.train_and_test import run_experiment

    protocol = make_protocol("loso", load_clips(None, [str(spoilt)]))
    recipe = load_recipe(tiny_recipe_file)
    with pytest.raises(CorpusError, match=r"cannot be decoded: not_a_num.*with load_protocol"):
        run_experiment(recipe, protocol, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_emotions_without_a_training_clip_are_not_predicted(
    folder: Path, call: Any, tiny_recipe_file: Path, tmp_path: Path
) -> None:
    # Only the first speaker is ever sad.
    rows = [r for r in make_rows() if r["emotion"] != "sad" or r["speaker"] == "EB0"]
    manifest = write_list(folder / "l.csv", rows)
    options = ("--protocol", "loso", "--splits", "1", "--out", tmp_path / "run")
    answer = call("train", "--recipe", tiny_recipe_file, "--corpus", manifest, *options)
    assert answer.status == 0, answer.stderr
    assert (
        "no training clip of sad in fold 01: such a model never predicts it, and 2 test clips"
        in (answer.stderr)
    )
    with (tmp_path / "run" / "predictions.csv").open(newline="") as file:
        tested = list(csv.DictReader(file))
    assert {float(row["sad"]) for row in tested} == {0.0}
    assert sum(row["true"] == "sad" for row in tested) == 2
    calibration = json.loads((tmp_path / "run" / CALIBRATION_NAME).read_text())
    assert 0.01 <= calibration["temperature"] <= 100


@pytest.mark.parametrize(
    ("rows", "form"),
    [
        ([r | {"file": r["file"].replace("/", "\\")} for r in make_rows()], {}),
        (make_rows(), {"by": ";"}),
        (make_rows(), {"by": "\t"}),
        (make_rows(), {"first": "sep=,\n"}),
        (make_rows(), {"first": "sep=;\r\n", "by": ";"}),
        (make_rows(), {"encoding": "utf-8-sig"}),
        (make_rows(), {"encoding": "utf-16", "by": "\t"}),
    ],
    ids="backslashes semicolons tabs sep= sep=; bom utf-16".split(),
)
def test_tables_are_read_as_excel_and_windows_write_them(
    rows: list[Row], form: Any, folder: Path, call: Any
) -> None:
    answer = call("data", "list", write_list(folder / "l.csv", rows, **form), "--format", "json")
    (row,) = json.loads(answer.stdout)
    assert (row["clips"], row["speakers"]) == (24, 4)
    assert row["emotions"] == {"happy": 8, "sad": 8, "angry": 8}


@pytest.mark.parametrize(("encoding", "text"), [("cp1252", "é"), ("utf-16-le", "")])
def test_other_tables_say_how_to_save_them(
    encoding: str, text: str, folder: Path, call: Any
) -> None:
    rows = [row | {"speaker": row["speaker"] + text} for row in make_rows()]
    answer = call("data", "list", write_list(folder / "l.csv", rows, encoding=encoding))
    assert answer.status == 1
    assert "in Excel, save it as 'CSV UTF-8'" in answer.stderr


@pytest.mark.parametrize(
    ("file", "cause"),
    [
        ("C:\\Users\\me\\a.wav", "this is a path of a Windows computer; write paths relative to"),
        ("clips/EB0_ANGRY_1.wav", "there is EB0_angry_1.wav, and upper and lower case differ"),
        ("clips/EB0_angry_1.mp3", "there is EB0_angry_1.wav, with another ending"),
        ("clips/EB0_angry_1", "there is EB0_angry_1.wav, with another ending"),
        ("EB0_angry_1.wav", "a file of this name is at clips/EB0_angry_1.wav; paths are relative"),
        ("audio/one.wav", "there is no folder audio"),
        ("clips/one.wav", "its folder has no such file"),
    ],
)
def test_the_first_missing_file_is_shown_with_its_likely_cause(
    file: str, cause: str, folder: Path, call: Any
) -> None:
    manifest = write_list(folder / "l.csv", [{"file": file, "emotion": "sad"}])
    answer = call("data", "list", manifest)
    assert answer.status == 1
    looked = folder / file.replace("\\", "/")
    assert f"the first looked for at {looked}: {cause}" in answer.stderr


def test_folders_with_an_emoji_or_a_plus_work_also_across_corpora(
    folder: Path, call: Any, tiny_recipe_file: Path, tmp_path: Path
) -> None:
    emoji, plus = folder / "\N{GRINNING FACE}", folder / "a+b"
    absolute = [row | {"file": str(folder / row["file"])} for row in make_rows()]
    halves = absolute[:12], absolute[12:]
    first = write_list(emoji / "one.csv", halves[0])
    second = write_list(plus / "two.csv", halves[1])
    options = ("train", "--recipe", tiny_recipe_file, "--out", tmp_path / "run")
    answer = call(*options, "--corpus", first, "--protocol", "everything")
    assert answer.status == 0, answer.stderr
    shutil.rmtree(tmp_path / "run")
    answer = call(*options, "--protocol", f"cross:{second}->{first}")
    assert answer.status == 0, answer.stderr
    assert "12 clips of 2 speakers" in answer.stdout
    assert call("report", tmp_path / "run").status == 0


def test_audio_that_both_sides_of_a_test_have_is_refused(
    folder: Path, tiny_recipe_file: Path
) -> None:
    rows = make_rows()
    samples, rate_hz = sf.read(folder / rows[-1]["file"], dtype="int16")
    sf.write(folder / "clips" / "EB9_sad_1.flac", samples, rate_hz, subtype="PCM_16")
    rows.append(rows[-1] | {"file": "clips/EB9_sad_1.flac"})
    one = write_list(folder / "one.csv", rows[:12])
    two = write_list(folder / "two.csv", [*rows[12:24], rows[0]])
    recipe = load_recipe(tiny_recipe_file, [format_change("data.protocol", f"cross:{two}->{one}")])
    with pytest.raises(ProtocolError, match="1 recordings of .*one.csv are in training too"):
        load_protocol(recipe, None)


@pytest.mark.parametrize("cache", ["/dev/null/cache", "no home"])
def test_work_goes_on_without_a_cache_and_says_so_once(
    cache: str, folder: Path, emovox: Any, tiny_recipe_file: Path
) -> None:
    environment = {"EMOVOX_CACHE": cache, "EMOVOX_DATA": str(folder)}
    if cache == "no home":
        environment = {"EMOVOX_CACHE": "~nobody-of-this-name/cache", "EMOVOX_DATA": str(folder)}
    manifest = write_list(folder / "l.csv", make_rows())
    listed = emovox("data", "list", env=environment)
    assert listed.returncode == 0, listed.stderr
    options = ("--corpus", manifest, "--protocol", "loso", "--splits", "1", "--out", "run")
    answer = emovox("train", "--recipe", tiny_recipe_file, *options, env=environment, timeout=600)
    assert answer.returncode == 0, answer.stderr
    warnings = [
        line for line in answer.stderr.splitlines() if "name a folder with EMOVOX_C" in line
    ]
    assert len(warnings) == 1
    assert warnings[0].startswith("emovox: ")
    assert "Traceback" not in answer.stderr
