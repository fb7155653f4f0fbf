"""``emovox data``: what it prints, where, and how it exits."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

from emovox.cli.data import app
from emovox.corpora.ravdess import list_ravdess_names
from emovox.corpora.registry import CORPORA
from emovox.errors import CorpusError

RUN = CliRunner()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOVOX_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Return a folder with two sound clips, one damaged, and twelve strays."""
    folder = tmp_path / "few"
    folder.mkdir()
    noise = 0.1 * np.random.default_rng(1).standard_normal(144_000).clip(-3, 3)
    for name in ("03-01-05-01-01-01-03", "03-01-01-01-01-01-04"):
        sf.write(folder / f"{name}.wav", noise, 48_000)
    (folder / "03-01-06-01-01-01-03.wav").write_bytes(b"")
    for number in range(12):
        (folder / f"[red]take{number}\udcff.wav").touch()
    return folder


def test_list_says_where_ravdess_lies(few: Path) -> None:
    result = RUN.invoke(app, ["list", "--data", str(few)])
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "ravdess 1,440 clips, 24 speakers, English, CC BY-NC-SA 4.0"
    assert lines[1:3] == [f"3 clips in {few}", "neutral 1, angry 1, fearful 1"]
    nemo = lines.index("nemo 4,481 clips, 9 speakers, Polish, CC BY-NC-SA 4.0")
    assert lines[nemo + 1] == "not found"


def test_list_says_how_to_get_what_is_not_here() -> None:
    result = RUN.invoke(app, ["list"])
    assert result.exit_code == 0
    assert "not found" in result.stdout
    assert "emovox data fetch ravdess" in result.stdout
    rows = json.loads(RUN.invoke(app, ["list", "--format", "json"]).stdout)
    assert [row["corpus"] for row in rows] == list(CORPORA)
    assert (rows[0]["corpus"], rows[0]["clips"], rows[0]["folder"]) == ("ravdess", 0, None)
    assert "PLoS ONE" in rows[0]["citation"]


def test_list_fits_in_80_columns(tmp_path: Path) -> None:
    emotions = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
    for emotion in (*emotions, "enthusiastic"):
        (tmp_path / f"female1_{emotion}_1a_1.wav").touch()
    result = RUN.invoke(app, ["list", "--data", str(tmp_path)])
    lines = [line for line in result.stdout.splitlines() if str(tmp_path) not in line]
    assert max(map(len, lines)) <= 80
    assert "".join(f"{emotion} 1, " for emotion in emotions) + "enthusiastic 1" in " ".join(
        line.strip() for line in lines
    )


def test_list_says_what_of_a_list_can_be_used(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.wav").touch()
    manifest = tmp_path / "calls.csv"
    manifest.write_text(
        "Path;Label;spk;room\na.wav;joy;1;x\nb.wav;sad;1;x\nc.wav;Frustration;2;x\n"
    )
    result = RUN.invoke(app, ["list", str(manifest)])
    assert result.exit_code == 0
    assert [line.strip() for line in result.stdout.splitlines()] == [
        f"{manifest}  2 speakers",
        f"3 clips in {manifest}",
        "happy 1, sad 1, frustration 1",
        "calls: columns not read: room",
    ]
    (row,) = json.loads(RUN.invoke(app, ["list", str(manifest), "--format", "json"]).stdout)
    assert (row["clips"], row["licence"]) == (3, None)
    assert row["emotions"] == {"happy": 1, "sad": 1, "frustration": 1}


def test_list_finds_corpora_by_their_folders(tmp_path: Path) -> None:
    (tmp_path / "EMO-DB" / "wav").mkdir(parents=True)
    for name in ("03a01Fa", "03a01La"):
        (tmp_path / "EMO-DB" / "wav" / f"{name}.wav").touch()
    arguments = ["list", "emodb", "--data", str(tmp_path), "--format", "json"]
    (row,) = json.loads(RUN.invoke(app, arguments).stdout)
    assert (row["clips"], row["expected"], row["folder"]) == (2, 535, str(tmp_path / "EMO-DB"))
    assert row["emotions"] == {"happy": 1, "boredom": 1}


def test_list_refuses_a_corpus_that_is_none(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["list", "klingon"])
    assert isinstance(result.exception, CorpusError)
    (tmp_path / "empty").mkdir()
    result = RUN.invoke(app, ["list", "--data", str(tmp_path / "empty")])
    assert isinstance(result.exception, CorpusError)
    assert "(--data) contains no known corpus" in str(result.exception)


def test_list_refuses_a_named_folder_that_is_wrong(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["list", "--data", str(tmp_path / "nowhere")])
    assert isinstance(result.exception, CorpusError)


def test_verify_prints_the_damage_and_the_tables_and_exits_1(few: Path) -> None:
    result = RUN.invoke(app, ["verify", "ravdess", "--data", str(few)])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[1] == "2 of 1,440 clips can be decoded: 2 speakers, 0.1 min"
    assert "missing: 1,437" in lines
    assert "damaged: 1" in lines
    assert any("03-01-06-01-01-01-03.wav: " in line and "empty" in line for line in lines)
    assert "not a RAVDESS file name, not used: 12" in lines
    assert "  and 2 more (all of them with --format json)" in lines
    assert any("[red]take0\\udcff.wav" in line for line in lines)
    rows = [line.split() for line in lines]
    assert ["angry", "1", "192", "0.1"] in rows
    assert ["3", "male", "1", "60", "0.1"] in rows
    assert ["24", "female", "0", "60", "0.0"] in rows


def test_verify_gives_all_of_it_as_json(few: Path) -> None:
    result = RUN.invoke(app, ["verify", "ravdess", "--data", str(few), "--format", "json"])
    assert result.exit_code == 1
    check = json.loads(result.stdout)
    assert (check["sound"], check["expected"], check["complete"]) == (2, 1440, False)
    assert len(check["missing"]) == 1437
    assert len(check["strays"]) == 12
    assert check["speakers"][2] == {
        "name": "3",
        "gender": "male",
        "clips": 1,
        "expected": 60,
        "duration_s": 3.0,
    }


def test_verify_without_a_corpus_says_what_to_do() -> None:
    result = RUN.invoke(app, ["verify", "ravdess"])
    assert isinstance(result.exception, CorpusError)
    assert "emovox data fetch ravdess" in str(result.exception)


def test_an_unknown_corpus_is_an_error() -> None:
    result = RUN.invoke(app, ["fetch", "iemocap"])
    assert result.exit_code == 2
    assert "ravdess" in result.stderr
    result = RUN.invoke(app, ["verify", "iemocap"])
    assert isinstance(result.exception, CorpusError)
    assert "known: ravdess, " in str(result.exception)


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Return a manifest of two sound clips, a copy, and one clip each for what can be wrong."""
    rng = np.random.default_rng(1)
    for name, scale, n_samples in (("a", 0.1, 8_000), ("b", 0.1, 8_000), ("s", 0.0, 8_000)):
        noise = scale * rng.uniform(-1, 1, n_samples)
        sf.write(tmp_path / f"{name}.wav", noise, 8_000)
    sf.write(tmp_path / "short.wav", 0.1 * rng.uniform(-1, 1, 400), 8_000)
    (tmp_path / "copy.wav").write_bytes((tmp_path / "b.wav").read_bytes())
    (tmp_path / "html.wav").write_text("<html>404</html>")
    manifest = tmp_path / "calls.csv"
    rows = ["a,Positive,ann", "b,Negative,bob", "s,Negative,bob", "short,Negative,bob"]
    rows += ["copy,Negative,eve", "html,Positive,ann", "gone,Positive,ann"]
    lines = [row.replace(",", ".wav,", 1) for row in rows]
    manifest.write_text("\n".join(["file,emotion,speaker", *lines]) + "\n")
    return manifest


def test_verify_takes_any_list_and_names_all_that_is_wrong(damaged: Path) -> None:
    result = RUN.invoke(app, ["verify", str(damaged)])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    folder = damaged.parent
    assert lines[:3] == [
        f"calls in {damaged}",
        "3 of 7 clips can be used: 3 speakers, 2 labels, 0.1 min",
        "missing: 1",
    ]
    assert f"  {folder / 'gone.wav'}" in lines
    assert "damaged: 3" in lines
    assert any("s.wav: is silent, expected speech" in line for line in lines)
    assert any("short.wav: lasts 0.05 s, expected at least 0.1 s" in line for line in lines)
    assert any("html.wav: is damaged, or not audio" in line for line in lines)
    rows = [line.split() for line in lines]
    assert ["two", "speakers", "1", "refused", "b.wav", "is", "calls-bob,"] in [r[:7] for r in rows]
    assert ["copies", "1", "left", "out"] in [row[:4] for row in rows]
    assert ["silent", "1", "left", "out", "s.wav"] in [row[:5] for row in rows]
    assert ["negative", "2", "4", "0.0"] in rows
    assert ["calls-ann", "1", "2", "0.0"] in rows
    check = json.loads(RUN.invoke(app, ["verify", str(damaged), "--format", "json"]).stdout)
    assert (check["corpus"], check["sound"], check["complete"]) == ("calls", 3, False)
    assert check["missing"] == [str(folder / "gone.wav")]
    assert [entry["name"] for entry in check["emotions"]] == ["negative", "positive"]


def test_verify_of_a_sound_folder_exits_0(tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(1).uniform(-1, 1, 8_000)
    for name in ("good", "bad"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        sf.write(tmp_path / "mine" / name / "1.flac", np.roll(noise, len(name)), 8_000)
    result = RUN.invoke(app, ["verify", str(tmp_path / "mine")])
    assert result.exit_code == 0
    assert "2 of 2 clips can be used: unknown speakers, 2 labels" in result.stdout


def test_fetch_installs_a_users_zip_and_shows_the_licence(tmp_path: Path, cache: Path) -> None:
    archive, clip = tmp_path / "mine.zip", tmp_path / "clip.wav"
    sf.write(clip, np.full(4_800, 0.5), 48_000)
    with zipfile.ZipFile(archive, "w") as zipped:
        for name in list_ravdess_names():
            zipped.write(clip, f"{name}.wav")
    result = RUN.invoke(app, ["fetch", "ravdess", "--from", str(archive)])
    assert result.exit_code == 0
    assert result.stdout == f"1,440 clips installed in {cache / 'ravdess'}\n"
    assert "CC BY-NC-SA 4.0" in result.stderr
    assert "Livingstone" in result.stderr
    assert "zenodo.org" not in result.stderr
    again = RUN.invoke(app, ["fetch", "ravdess", "--format", "json"])
    contacted = again.stderr.splitlines()[-1]
    assert contacted.startswith(
        "If it is not installed yet: 208 MB from https://zenodo.org/records/"
    )
    assert json.loads(again.stdout) == {
        "corpus": "ravdess",
        "folder": str(cache / "ravdess"),
        "clips": 1440,
        "installed": False,
    }
    assert archive.exists()


@pytest.mark.corpus
def test_verify_of_the_real_corpus_exits_0(ravdess: Path) -> None:
    result = RUN.invoke(app, ["verify", "ravdess", "--data", str(ravdess)])
    assert result.exit_code == 0
    assert "1,440 of 1,440 clips can be decoded: 24 speakers, 88.8 min" in result.stdout
    assert "missing" not in result.stdout
