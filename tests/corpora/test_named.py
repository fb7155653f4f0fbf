from collections import Counter
from pathlib import Path

import pytest

from emovox.corpora.named import NAMED_CORPORA, list_mesd, list_named
from emovox.corpora.registry import CORPORA, find_corpus
from emovox.labels import CORPUS_LABELS, EMOTION_WORDS, EMOTIONS, map_label, order_labels


def touch(folder: Path, *names: str) -> Path:
    """Make empty files under these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("corpus", "file", "name", "emotion", "speaker", "gender"),
    [
        ("emodb", "wav/03a01Fa.wav", "03a01Fa", "happy", "03", "male"),
        ("emodb", "wav/09b10Wb.wav", "09b10Wb", "angry", "09", "female"),
        ("emodb", "wav/16a02Tc.wav", "16a02Tc", "sad", "16", "female"),
        ("emodb", "wav/15a05Aa.wav", "15a05Aa", "fearful", "15", "male"),
        ("emodb", "wav/13b01Ec.wav", "13b01Ec", "disgust", "13", "female"),
        ("emodb", "wav/11a07Nb.wav", "11a07Nb", "neutral", "11", "male"),
        ("emovo", "f1/gio-f1-b1.wav", "gio-f1-b1", "happy", "f1", "female"),
        ("emovo", "M3/pau-M3-l4.wav", "pau-m3-l4", "fearful", "m3", "male"),
        ("emovo", "m2/sor-m2-d2.wav", "sor-m2-d2", "surprised", "m2", "male"),
        ("emovo", "m2/tri-m2-n5.wav", "tri-m2-n5", "sad", "m2", "male"),
        ("cremad", "AudioWAV/1001_DFA_ANG_XX.wav", "1001_DFA_ANG_XX", "angry", "1001", "male"),
        ("cremad", "AudioWAV/1002_IEO_FEA_HI.wav", "1002_IEO_FEA_HI", "fearful", "1002", "female"),
        ("cremad", "AudioWAV/1040_ITH_SAD_X.wav", "1040_ITH_SAD_X", "sad", "1040", "male"),
        ("tess", "OAF_angry/OAF_back_angry.wav", "OAF_back_angry", "angry", "OAF", "female"),
        ("tess", "YAF/YAF_youth_ps.wav", "YAF_youth_ps", "surprised", "YAF", "female"),
        ("tess", "OAF_neutral/OA_bite_neutral.wav", "OAF_bite_neutral", "neutral", "OAF", "female"),
        ("savee", "AudioData/DC/sa01.wav", "DC_sa01", "sad", "DC", "male"),
        ("savee", "ALL/KL_n30.wav", "KL_n30", "neutral", "KL", "male"),
        ("savee", "ALL/JE_su15.wav", "JE_su15", "surprised", "JE", "male"),
        ("ased", "03Happy/h3-06-01-02-57.wav", "h3-06-01-02-57", "happy", "57", "male"),
        ("ased", "04Sad/S4-01-02-01-01.wav", "s4-01-02-01-01", "sad", "01", "female"),
        # The corpus gives this woman's gender as 02 in this file alone.
        ("ased", "02Fearful/f2-01-01-02-09.wav", "f2-01-01-02-09", "fearful", "09", "female"),
        ("aesdd", "anger/a03 (4).wav", "a03-4", "angry", "4", None),
        ("aesdd", "Fear/f10 (01).wav", "f10-1", "fearful", "1", None),
        ("aesdd", "sadness/s04 (5)b.wav", "s04-5b", "sad", "5", None),
        (
            "subesco",
            "F_02_MONIKA_S_1_FEAR_5.wav",
            "F_02_MONIKA_S_1_FEAR_5",
            "fearful",
            "F_02",
            "female",
        ),
        ("subesco", "M_10_X_S_10_ANGRY_1.wav", "M_10_X_S_10_ANGRY_1", "angry", "M_10", "male"),
        # One published name has a bracket.
        (
            "subesco",
            "F_02_M_S_2_SURPRISE_3].wav",
            "F_02_M_S_2_SURPRISE_3",
            "surprised",
            "F_02",
            "female",
        ),
        ("jl", "female1_angry_1a_1.wav", "female1_angry_1a_1", "angry", "female1", "female"),
        ("jl", "male2_anxious_10b_2.wav", "male2_anxious_10b_2", "anxious", "male2", "male"),
        ("mesd", "Anger_C_A_abajo.wav", "Anger_C_A_abajo", "angry", "unknown", None),
        ("mesd", "Sadness_F_B_por_si.wav", "Sadness_F_B_por_si", "sad", "unknown", "female"),
    ],
)
def test_a_name_says_emotion_and_speaker(
    corpus: str,
    file: str,
    name: str,
    emotion: str,
    speaker: str,
    gender: str | None,
    tmp_path: Path,
) -> None:
    (clip,) = list_named(corpus, touch(tmp_path, file)).clips
    assert clip.name == f"{corpus}-{name}"
    assert (clip.corpus, clip.emotion, clip.gender) == (corpus, emotion, gender)
    assert clip.speaker == f"{corpus}-{speaker}"
    assert clip.path == tmp_path / file


def test_names_say_the_sentence_and_the_level(tmp_path: Path) -> None:
    (clip,) = list_named("cremad", touch(tmp_path, "1091_WSI_DIS_LO.wav")).clips
    assert (clip.sentence, clip.intensity) == ("We'll stop in a couple of minutes", "low")
    (clip,) = list_named("emodb", touch(tmp_path, "03a02Nc.wav")).clips
    assert clip.sentence == "Das will sie am Mittwoch abgeben."
    (clip,) = list_named("tess", touch(tmp_path, "YAF_dog_sad.wav")).clips
    assert clip.sentence == "Say the word dog"
    (clip,) = list_named("ased", touch(tmp_path, "a5-07-02-02-57.wav")).clips
    assert (clip.sentence, clip.repetition) == ("sentence 07", 2)
    (clip,) = list_named("mesd", touch(tmp_path, "Fear_M_A_por_si.wav")).clips
    assert clip.sentence == "por si"
    assert not clip.has_speaker


def test_voices_of_reduced_naturalness_are_counted_but_not_used(tmp_path: Path) -> None:
    reduced = "Speaker-embedded naturalness-reduced female voices/Fear_F_B_L1_abajo.wav"
    listing = list_mesd(touch(tmp_path, "MESD/Fear_F_B_abajo.wav", reduced))
    assert [clip.name for clip in listing.clips] == ["mesd-Fear_F_B_abajo"]
    assert listing.skipped == (("voices of reduced naturalness", 1),)


def test_boredom_is_a_label_of_its_own(tmp_path: Path) -> None:
    listing = list_named("emodb", touch(tmp_path, "03a01La.wav", "03a02Lb.wav", "03a01Nc.wav"))
    assert [clip.emotion for clip in listing.clips] == ["boredom", "neutral", "boredom"]
    assert listing.describe_unused() == []


def test_copies_count_once_and_the_best_format_wins(tmp_path: Path) -> None:
    files = ("AudioMP3/1001_DFA_ANG_XX.mp3", "AudioWAV/1001_DFA_ANG_XX.wav")
    listing = list_named("cremad", touch(tmp_path, *files))
    assert [clip.path.suffix for clip in listing.clips] == [".wav"]
    assert listing.skipped == (("further copies", 1),)


def test_names_of_other_corpora_are_not_taken(tmp_path: Path) -> None:
    names = (
        "03-01-06-02-01-02-12.wav",
        "17a01Fa.wav",
        "03a01Xa.wav",
        "gio-f4-b1.wav",
        "1092_DFA_ANG_XX.wav",
        "1001_DFA_ANG_XXX.wav",
        "BAF_back_angry.wav",
        "XX/a01.wav",
        "ZZ_a01.wav",
        "notes.txt",
        "h2-06-01-02-57.wav",
        "h3-06-01-02-66.wav",
        "h3-06-01-02-00.wav",
        "anger/d03 (4).wav",
        "other/a03 (4).wav",
        "X_02_MONIKA_S_1_NEUTRAL_5.wav",
        "F_02_MONIKA_S_1_BORED_5.wav",
        "female3_angry_1a_1.wav",
        "Envy_C_A_abajo.wav",
        "Anger_X_A_abajo.wav",
    )
    touch(tmp_path, *names)
    assert all(list_named(corpus, tmp_path).clips == () for corpus in NAMED_CORPORA)


def test_cremad_has_43_women_and_48_men(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{actor}_DFA_ANG_XX.wav" for actor in range(1001, 1092)))
    genders = [clip.gender for clip in list_named("cremad", tmp_path).clips]
    assert (genders.count("female"), genders.count("male")) == (43, 48)


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "clips", "speakers", "emotions"),
    [
        (
            "ased",
            2466,
            65,
            {"neutral": 520, "happy": 484, "sad": 468, "angry": 484, "fearful": 510},
        ),
        (
            "banglaser",
            1464,
            34,
            {"neutral": 242, "happy": 304, "sad": 306, "angry": 306, "surprised": 306},
        ),
        ("aesdd", 604, 6, {"happy": 119, "sad": 122, "angry": 121, "fearful": 120, "disgust": 122}),
    ],
)
def test_the_real_corpora_are_read_whole(
    name: str, clips: int, speakers: int, emotions: dict[str, int], ravdess: Path
) -> None:
    listing = find_corpus(name, ravdess)
    assert Counter(clip.emotion for clip in listing.clips) == emotions
    assert len({clip.speaker for clip in listing.clips}) == speakers
    assert len({(clip.speaker, clip.gender) for clip in listing.clips}) == speakers
    assert len({clip.name for clip in listing.clips}) == clips
    assert not listing.skipped


def test_every_code_is_an_emotion_but_those_for_boredom() -> None:
    assert {
        code
        for codes in CORPUS_LABELS.values()
        for code, word in codes.items()
        if word not in EMOTIONS
    } == {"L", "boredem"}
    assert set(EMOTION_WORDS.values()) == set(EMOTIONS)


@pytest.mark.parametrize(
    ("label", "corpus", "expected"),
    [
        (" Anger ", None, "angry"),
        ("A", "emodb", "fearful"),
        ("A", None, "a"),
        ("boredem", "emodb", "boredom"),
        (" Very Positive", None, "very positive"),
        ("  ", None, ""),
    ],
)
def test_labels_are_emotions_or_words_in_lower_case(
    label: str, corpus: str | None, expected: str
) -> None:
    assert map_label(label, corpus) == expected


def test_labels_come_in_the_emotions_order_then_by_the_alphabet() -> None:
    assert order_labels(reversed(EMOTIONS)) == EMOTIONS
    assert order_labels(["stress", "sad", "boredom", "calm", "sad"]) == (
        *("calm", "sad"),
        *("boredom", "stress"),
    )


def test_every_named_corpus_is_in_the_registry() -> None:
    assert set(NAMED_CORPORA) < set(CORPORA)
    for name, corpus in CORPORA.items():
        assert corpus.name == name
        assert corpus.licence and corpus.citation
