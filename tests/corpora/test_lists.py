"""Manifests, EmoBox lists, audformat tables and folders of classes."""

import json
import re
from pathlib import Path

import pytest

from emovox.corpora.class_folders import read_class_folders
from emovox.corpora.read import read_corpus, read_path
from emovox.errors import CorpusError


def touch(folder: Path, *names: str) -> Path:
    """Make empty files under these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def write(path: Path, text: str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_manifest_reads_what_it_says(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.wav", "a/2.wav", 'b, "x"/1.wav')
    manifest = write(
        tmp_path / "calls.csv",
        "\ufefffile, emotion,speaker,gender,room,sentence\n"
        "a/1.wav,Anger,ann,F,hall,Hello there\n"
        "a/2.wav,joy,bob,Male,,\n"
        '"b, ""x""/1.wav",calm,,other,,\n',
    )
    listing = read_path(manifest)
    assert [(c.name, c.emotion, c.speaker, c.gender, c.sentence) for c in listing.clips] == [
        ("calls-a/1", "angry", "calls-ann", "female", "Hello there"),
        ("calls-a/2", "happy", "calls-bob", "male", None),
        ('calls-b, "x"/1', "calm", "calls-unknown", None, None),
    ]
    assert listing.clips[0].path == tmp_path / "a" / "1.wav"
    assert {clip.corpus for clip in listing.clips} == {"calls"}


@pytest.mark.parametrize(
    "header",
    [
        "file,emotion,speaker,gender,sentence",
        "Path;Label;Speaker_ID;Sex;Transcript",
        "WAV\tClass\tspk\tGENDER\ttext",
        "file name,category,Speaker-Id,sex,Text",
        "audio,emotion,actor,gender,sentence",
        "filepath,LABEL,Subject,gender,transcript",
    ],
)
def test_manifest_takes_usual_columns_and_separators(header: str, tmp_path: Path) -> None:
    touch(tmp_path, "1.wav")
    row = "1.wav,Bored,ann,f,Hello".replace(",", re.sub(r"[\w\s-]*?([,;\t]).*", r"\1", header))
    (clip,) = read_path(write(tmp_path / "m.csv", f"{header}\n{row}\n")).clips
    assert (clip.emotion, clip.speaker, clip.gender) == ("bored", "m-ann", "female")
    assert clip.sentence == "Hello"


def test_of_several_columns_that_fit_the_first_name_counts(tmp_path: Path) -> None:
    touch(tmp_path, "1.wav")
    text = ",path,label,emotion,File,age\n0,gone.wav,0,sad,1.wav,7\n"
    listing = read_path(write(tmp_path / "m.csv", text))
    assert [clip.emotion for clip in listing.clips] == ["sad"]
    assert listing.ignored == ("path", "label", "age")
    assert listing.describe_unused() == ["m: columns not read: path, label, age"]


def test_manifest_counts_what_it_cannot_use(tmp_path: Path) -> None:
    touch(tmp_path, "1.wav", "2.wav", "3.wav")
    manifest = write(
        tmp_path / "m.tsv",
        "emotion\tfile\nsad\t1.wav\nfrustration\t2.wav\n\t3.wav\nsad\tgone.wav\nsad\t1.wav\n",
    )
    listing = read_path(manifest)
    assert [clip.emotion for clip in listing.clips] == ["sad", "frustration"]
    assert listing.missing == (tmp_path / "gone.wav",)
    assert listing.describe_unused() == [
        "m: 1 not used: further copies",
        "m: 1 not used: no label",
        f"m: 1 not there, such as {tmp_path / 'gone.wav'}: its folder has no such file",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name,mood\n1.wav,sad\n",
            r"found columns name, mood; expected one for the file and one for the emotion, called "
            r"as one of these \(file: file, path, .*; emotion: emotion, label, .*\): rename it or",
        ),
        ("path,mood\n1.wav,sad\n", r"expected one for the emotion, called .*\(emotion: emotion,"),
        ("", r"found columns \(none\); expected one for the file and one for the emotion"),
        ("file,emotion\n1.wav,\n", "no clip that can be used: found 1 with no label; expected"),
        (
            "file,emotion\n9.wav,sad\n",
            "found 1 that are not there, the first looked for at .*9.wav: its folder has no such",
        ),
        ("file,emotion\n", "found nothing; expected labelled recordings"),
        ("file,emotion\n1.wav,sad\n1.wav,happy\n", "1.wav is happy, but .*, is sad; expected one"),
    ],
)
def test_a_manifest_that_is_none_is_refused(text: str, message: str, tmp_path: Path) -> None:
    touch(tmp_path, "1.wav")
    with pytest.raises(CorpusError, match=message):
        read_path(write(tmp_path / "m.csv", text))


def test_a_manifest_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match="save it as 'CSV UTF-8'"):
        read_path(tmp_path / "m.csv")


def test_recordings_elsewhere_are_named_from_their_common_folder(tmp_path: Path) -> None:
    touch(tmp_path / "audio", "x/1.wav", "y/1.wav")
    rows = "".join(f"{tmp_path}/audio/{who}/1.wav,sad\n" for who in "xy")
    manifest = write(tmp_path / "lists" / "m.csv", "file,emotion\n" + rows)
    assert [clip.name for clip in read_path(manifest).clips] == ["m-x/1", "m-y/1"]


def test_known_recordings_keep_their_name_and_voice_in_any_list(tmp_path: Path) -> None:
    files = ("03-02-05-01-01-01-07.wav", "1002_DFA_SAD_XX.wav", "03a01La.wav", "own.wav")
    touch(tmp_path, *files)
    rows = "".join(f"{name},angry,7\n" for name in files)
    listing = read_path(write(tmp_path / "mix.csv", "file,emotion,speaker\n" + rows))
    assert [(c.name, c.speaker, c.gender, c.emotion) for c in listing.clips] == [
        ("03-02-05-01-01-01-07", "7", "male", "angry"),
        ("cremad-1002_DFA_SAD_XX", "cremad-1002", "female", "angry"),
        ("emodb-03a01La", "emodb-03", "male", "angry"),
        ("mix-own", "mix-7", None, "angry"),
    ]


def test_class_folders_at_any_depth(tmp_path: Path) -> None:
    top = touch(
        tmp_path / "mine",
        "train/Angry/1.wav",
        "train/Angry/deep/2.flac",
        "test/happiness/1.wav",
        "boredom/1.wav",
        "Actor_05/03-01-04-01-01-01-05.wav",
        "wav/03a01La.wav",
        "angry/notes.txt",
    )
    listing = read_class_folders(top)
    assert sorted((c.name, c.emotion, c.speaker) for c in listing.clips) == [
        ("03-01-04-01-01-01-05", "sad", "5"),
        ("emodb-03a01La", "boredom", "emodb-03"),
        ("mine-boredom/1", "boredom", "mine-unknown"),
        ("mine-test/happiness/1", "happy", "mine-unknown"),
        ("mine-train/Angry/1", "angry", "mine-unknown"),
        ("mine-train/Angry/deep/2", "angry", "mine-unknown"),
    ]


def test_any_folder_names_a_label_but_the_trees_own(tmp_path: Path) -> None:
    listing = read_path(touch(tmp_path / "t", "0.wav", "Happy_2/1.wav", "a/Positive/1.wav"))
    assert [clip.emotion for clip in listing.clips] == ["happy_2", "positive"]
    assert listing.skipped == (("no label", 1),)
    assert read_path(touch(tmp_path / "Joy", "1.wav")).clips[0].emotion == "happy"


def test_a_tree_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="found 1 with no label; expected labelled"):
        read_path(touch(tmp_path / "t", "1.wav"))
    with pytest.raises(CorpusError, match="found nothing"):
        read_path(touch(tmp_path / "empty", "a.txt"))


def list_emobox(entries: list[dict[str, object]]) -> str:
    return "\n".join(json.dumps(entry) for entry in entries) + "\n\n"


def make_entry(dataset: str, wav: str, emo: str, **more: object) -> dict[str, object]:
    """Return a line as EmoBox has it."""
    key = f"{dataset}-{Path(wav).stem}"
    sizes = {"type": "raw", "sample_rate": 16_000, "num_frame": 30045.0, "length": 1.8778125}
    return {"key": key, "dataset": dataset, "wav": wav, **sizes, "emo": emo, "channel": 1, **more}


def test_emobox_lists_find_their_recordings_above_them(tmp_path: Path) -> None:
    wavs = [f"downloads/emodb/wav/{name}.wav" for name in ("03a01Wa", "03a01La", "08a01Fb")]
    touch(tmp_path, *wavs)
    entries = [
        make_entry("emodb", wav, emo)
        for wav, emo in zip(wavs, ("anger", "boredem", "happy"), strict=True)
    ]
    text = list_emobox([*entries, make_entry("emodb", "downloads/emodb/wav/03a02Wb.wav", "anger")])
    listing = read_path(write(tmp_path / "data" / "emodb" / "emodb.jsonl", text))
    assert [(c.name, c.emotion, c.speaker, c.gender) for c in listing.clips] == [
        ("emodb-03a01Wa", "angry", "emodb-03", "male"),
        ("emodb-03a01La", "boredom", "emodb-03", "male"),
        ("emodb-08a01Fb", "happy", "emodb-08", "female"),
    ]
    assert listing.corpus == "emodb"
    assert listing.missing == (tmp_path / "downloads/emodb/wav/03a02Wb.wav",)


def test_emobox_lists_of_ravdess_and_of_codes(tmp_path: Path) -> None:
    song = "downloads/ravdess/Actor_11/03-01-07-02-02-02-11.wav"
    touch(tmp_path / "there", song, "downloads/x/rec1.wav", "downloads/x/rec2.wav")
    text = list_emobox(
        [
            make_entry("ravdess", song, "Disgust"),
            make_entry("emovo", "downloads/x/rec1.wav", "rab", spk="F1"),
            make_entry("iemocap", "downloads/x/rec2.wav", "hap", start_time=0, end_time=2.5),
        ]
    )
    listing = read_path(write(tmp_path / "lists" / "l.jsonl", text), tmp_path / "there")
    assert [(c.name, c.emotion, c.speaker) for c in listing.clips] == [
        ("03-01-07-02-02-02-11", "disgust", "11"),
        ("emovo-rec1", "angry", "ravdess-F1"),
    ]
    assert listing.skipped == (("segments of longer recordings", 1),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected an EmoBox list"),
        ("{", "line 1: found '{'; expected a JSON object"),
        ('\n{"wav": "a.wav", "emo": 3, "dataset": "x"}', "line 2: found .*expected a JSON object"),
        (list_emobox([make_entry("x", "gone.wav", "sad")]), "none of its 1 recordings, such as go"),
    ],
)
def test_an_emobox_list_that_is_none_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=message):
        read_path(write(tmp_path / "l.jsonl", text))


HEADER = """
name: emodb
source: http://emodb.bilderbar.info
usage: unrestricted
schemes:
  emotion: {dtype: str, labels: [anger, boredom, neutral]}
  speaker:
    dtype: int
    labels: {3: {gender: male, age: 31}, 8: {gender: female}}
tables:
  emotion: {type: filewise, columns: {emotion: {scheme_id: emotion, rater_id: gold}}}
  files: {type: filewise, columns: {speaker: {scheme_id: speaker}}}
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return an audformat database as emodb 1.4.1 has it, with two more tables."""
    folder = touch(tmp_path / "1.4.1", "wav/a.wav", "wav/b.wav", "wav/c.wav", "wav/d.wav")
    write(folder / "db.yaml", HEADER)
    write(
        folder / "db.emotion.csv",
        "file,emotion,emotion.confidence\nwav/a.wav,anger,0.9\nwav/b.wav,boredom,1.0\n"
        "wav/c.wav,neutral,0.8\n",
    )
    write(folder / "db.files.csv", "file,duration,speaker\nwav/a.wav,0 days 00:00:01.8,3\n")
    write(folder / "db.gold.csv", "file,emotion\nwav/a.wav,anger\n")
    write(
        folder / "db.segments.csv",
        "file,start,end,emotion\nwav/a.wav,0 days 00:00:01,0 days 00:00:02,neutral\n"
        "wav/d.wav,0 days 00:00:00,,neutral\n",
    )
    return folder


def test_audformat_tables_are_joined(database: Path) -> None:
    listing = read_path(database)
    assert [(c.name, c.emotion, c.speaker, c.gender) for c in listing.clips] == [
        ("emodb-wav/a", "angry", "emodb-3", "male"),
        ("emodb-wav/b", "boredom", "emodb-unknown", None),
        ("emodb-wav/c", "neutral", "emodb-unknown", None),
        ("emodb-wav/d", "neutral", "emodb-unknown", None),
    ]
    assert listing.skipped == (("parts of recordings", 1),)


def test_one_audformat_table_can_be_named(database: Path) -> None:
    assert [clip.name for clip in read_path(database / "db.gold.csv").clips] == ["emodb-wav/a"]
    with pytest.raises(CorpusError, match="found no table with the columns file and emotion"):
        read_path(database / "db.files.csv")


def test_audformat_genders_come_from_a_table_of_speakers_too(database: Path) -> None:
    write(database / "db.yaml", "name: emodb\nschemes: {speaker: {labels: speaker}}\n")
    write(database / "db.speaker.csv", "speaker,age,gender\n3,31,male\n")
    assert [clip.gender for clip in read_path(database).clips] == ["male", None, None, None]


def test_audformat_that_contradicts_itself_or_is_none_is_refused(database: Path) -> None:
    write(database / "db.other.csv", "file,emotion\nwav/a.wav,neutral\n")
    with pytest.raises(CorpusError, match="is neutral, but .*a.wav, the same recording, is angry"):
        read_path(database)
    write(database / "db.yaml", "- a list")
    with pytest.raises(CorpusError, match="expected the header of an audformat database"):
        read_path(database)
    write(database / "db.yaml", "a: [")
    with pytest.raises(CorpusError, match="cannot be read"):
        read_path(database)


def test_audformat_stored_otherwise_says_how_to_store_it(tmp_path: Path) -> None:
    write(tmp_path / "db.yaml", HEADER)
    touch(tmp_path, "db.emotion.parquet")
    with pytest.raises(CorpusError, match="among 0 stored as CSV.*storage_format='csv'"):
        read_path(tmp_path)


def test_what_is_no_corpus_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "model.onnx")
    with pytest.raises(CorpusError, match="is not a corpus: found a .onnx file; expected a folder"):
        read_path(tmp_path / "model.onnx")
    for source in ("klingon", "./nowhere", "nowhere.csv"):
        with pytest.raises(CorpusError, match="no corpus named .* and no such list or folder"):
            read_corpus(source)
