"""Emozionalmente and THAI SER, on small copies of their published layouts."""

import json
from pathlib import Path

import pytest

from emovox.corpora.emozionalmente import list_emozionalmente
from emovox.corpora.registry import find_corpus
from emovox.corpora.thai_ser import list_thai_ser
from emovox.errors import CorpusError

SAMPLES = (
    "file_name,actor,emotion_expressed,sentence\n"
    'a1.wav,ann,joy,"Ciao, come stai?"\n'
    "b1.wav,bob,neutrality,Vado a casa.\n"
    "b2.wav,bob,sadness,Vado a casa.\n"
)
USERS = "username,gender,age\nann,Female,30\nbob,other,40\n"


@pytest.fixture
def italian(tmp_path: Path) -> Path:
    """Return Emozionalmente as its zip is unpacked, with two of three recordings."""
    top = tmp_path / "emozionalmente" / "emozionalmente_dataset"
    for name in ("audio", "metadata"):
        (top / name).mkdir(parents=True)
    for name in ("a1", "b1"):
        (top / "audio" / f"{name}.wav").touch()
    (top / "metadata" / "samples.csv").write_text(SAMPLES, encoding="utf-8")
    (top / "metadata" / "users.csv").write_text(USERS, encoding="utf-8")
    return tmp_path


def test_emozionalmente_is_read_from_its_tables(italian: Path) -> None:
    listing = find_corpus("emozionalmente", italian)
    assert [
        (clip.name, clip.emotion, clip.speaker, clip.gender, clip.sentence)
        for clip in listing.clips
    ] == [
        *(
            ("emozionalmente-a1", "happy", "emozionalmente-ann", "female", "Ciao, come stai?"),
            ("emozionalmente-b1", "neutral", "emozionalmente-bob", None, "Vado a casa."),
        ),
    ]
    assert listing.skipped == (("named in samples.csv, but not there", 1),)


def test_emozionalmente_needs_its_samples_but_not_its_users(italian: Path) -> None:
    folder = italian / "emozionalmente" / "emozionalmente_dataset"
    (folder / "metadata" / "users.csv").unlink()
    assert [clip.gender for clip in list_emozionalmente(folder).clips] == [None, None]
    (folder / "metadata" / "samples.csv").write_text("file_name,actor\n")
    with pytest.raises(CorpusError, match="found no column emotion_expressed, sentence"):
        list_emozionalmente(folder)
    (folder / "metadata" / "samples.csv").unlink()
    assert list_emozionalmente(folder).clips == ()


LABELS = {
    "s001_con_actor001_impro1_1.flac": "Neutral",
    "s001_con_actor002_script1_1_1a.flac": "Frustrated",
    "z002_mic_actor101_impro2_1.flac": "Happy",
    "s001_con_actor001_impro1_2.flac": "None",
    "s001_con_actor001_impro1_3.flac": "Other",
    "s001_con_actor001_impro1_4.flac": "Sad",
}


def write_labels(folder: Path, labels: object) -> None:
    (folder / "emotion_label.json").write_text(json.dumps(labels))


@pytest.fixture
def thai(tmp_path: Path) -> Path:
    """Return THAI SER as its zips are unpacked, without the last recording."""
    folder = tmp_path / "thai-ser"
    for name in (*list(LABELS)[:-1], "s001_clip_actor001_impro1_1.flac"):
        session, microphone, *_ = name.split("_")
        kind = "studio" if session[0] == "s" else "zoom"
        place = folder / f"{kind}1-10" / f"{kind}{session[1:]}" / microphone
        place.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    write_labels(
        folder,
        {name: [{"assigned_emo": "Angry", "majority_emo": e}] for name, e in LABELS.items()},
    )
    actors = {"data": [{"Actor's ID": "001", "Sex": "Male", "Age": 30}]}
    (folder / "actor_demography.json").write_text(json.dumps(actors))
    return folder


def test_thai_ser_is_labelled_by_most_listeners(thai: Path) -> None:
    listing = find_corpus("thai-ser", thai.parent)
    assert [(clip.emotion, clip.speaker, clip.gender) for clip in listing.clips] == [
        ("neutral", "thai-ser-001", "male"),
        ("frustrated", "thai-ser-002", None),
        ("happy", "thai-ser-101", None),
    ]
    assert listing.clips[0].name == "thai-ser-s001_con_actor001_impro1_1"
    assert listing.skipped == (
        ("no majority for one of the emotions", 2),
        ("named in emotion_label.json, but not there", 1),
        ("without a label, such as other microphones", 1),
    )


@pytest.mark.parametrize(
    "labels",
    [
        {"a.flac": [{"majority_emo": "Sad"}]},
        {"s001_con_actor001_impro1_1.flac": []},
        {"s001_con_actor001_impro1_1.flac": [{"assigned_emo": "Sad"}]},
        {"s001_con_actor001_impro1_1.flac": "Sad"},
        [],
    ],
)
def test_other_labels_of_thai_ser_are_refused(labels: object, thai: Path) -> None:
    write_labels(thai, labels)
    with pytest.raises(CorpusError, match="expected THAI SER's labels"):
        list_thai_ser(thai)


def test_damaged_json_of_thai_ser_is_refused(thai: Path) -> None:
    for text in ('{"data": [{"Sex": "Male"}]}', "{}", "{"):
        (thai / "actor_demography.json").write_text(text)
        with pytest.raises(CorpusError, match="expected THAI SER's actors"):
            list_thai_ser(thai)
    (thai / "actor_demography.json").unlink()
    (thai / "emotion_label.json").write_text("{")
    with pytest.raises(CorpusError, match="cannot be read"):
        list_thai_ser(thai)
    (thai / "emotion_label.json").unlink()
    assert list_thai_ser(thai).clips == ()
