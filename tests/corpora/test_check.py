"""The check of clips: what decoding shows, what is kept of it, and what is found."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from emovox.corpora import measure
from emovox.corpora.check import DataCheck, check_clips
from emovox.corpora.clips import Clip, CorpusListing
from emovox.corpora.findings import Verdict, simplify_speaker
from emovox.corpora.folds import Fold, Protocol, find_absent_labels
from emovox.corpora.locate import NO_CACHE, find_cache, write_cached
from emovox.corpora.measure import ClipFacts, Measured, measure_clips


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make_clip(path: Path, emotion: str = "sad", speaker: str = "ann", corpus: str = "l") -> Clip:
    return Clip(f"{corpus}-{path.stem}", path, corpus, emotion, f"{corpus}-{speaker}")


def write_tone(path: Path, rate_hz: int = 8_000, scale: float = 0.5) -> Clip:
    time_s = np.arange(rate_hz) / rate_hz
    sf.write(path, scale * np.sin(2 * np.pi * 440 * time_s), rate_hz, subtype="PCM_16")
    return make_clip(path)


def test_a_clip_is_measured_at_its_own_rate_and_level(tmp_path: Path) -> None:
    clip = write_tone(tmp_path / "a.wav", 22_050)
    facts = measure_clips([clip])[clip.path]
    assert isinstance(facts, ClipFacts)
    assert (facts.rate_hz, facts.duration_s) == (22_050, 1.0)
    assert facts.peak == pytest.approx(0.5, abs=1e-3)
    assert facts.full_scale == 0
    assert not facts.speaks
    assert not facts.is_silent
    flac = tmp_path / "b.flac"
    sf.write(flac, sf.read(clip.path, dtype="int16")[0], 22_050, subtype="PCM_16")
    copy = measure.measure_clip(flac)
    assert isinstance(copy, ClipFacts)
    assert copy.content == facts.content


def test_unchanged_files_are_not_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [write_tone(tmp_path / f"{name}.wav") for name in "ab"]
    broken = make_clip(tmp_path / "broken.wav")
    broken.path.write_bytes(b"RIFF")
    steps: list[tuple[int, int]] = []
    first = measure_clips([*clips, broken], report=lambda done, whole: steps.append((done, whole)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    decoded: list[Path] = []
    original = measure.measure_clip

    def count(path: Path) -> ClipFacts | str:
        decoded.append(path)
        return original(path)

    monkeypatch.setattr(measure, "measure_clip", count)
    assert measure_clips([*clips, broken]) == first
    assert decoded == [broken.path]
    decoded.clear()
    stamp = clips[0].path.stat()
    write_tone(clips[0].path, scale=0.25)
    os.utime(clips[0].path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    changed = measure_clips(clips)
    assert decoded == [clips[0].path]
    assert changed[clips[0].path] != first[clips[0].path]
    decoded.clear()
    measure_clips(clips, fresh=True)
    assert sorted(decoded) == [clip.path for clip in clips]


@pytest.mark.parametrize("content", ["", "[]", '{"format": 0, "clips": {"a.wav": 3}}'])
def test_a_damaged_cache_is_measured_again(content: str, tmp_path: Path, cache: Path) -> None:
    clip = write_tone(tmp_path / "a.wav")
    first = measure_clips([clip])
    (file,) = (cache / "clips").iterdir()
    file.write_text(content)
    assert measure_clips([clip]) == first


def facts(content: str, **changes: object) -> ClipFacts:
    plain = ClipFacts(content, 1.0, 16_000, 0.5, 0.0, True)
    return measure.ClipFacts(**{**plain_dict(plain), **changes})  # type: ignore[arg-type]


def plain_dict(one: ClipFacts) -> dict[str, object]:
    return {name: getattr(one, name) for name in ClipFacts.__slots__}


def check(figures: dict[str, ClipFacts | str], **options: object) -> DataCheck:
    clips = [make_clip(Path(f"/l/{name}.wav")) for name in figures]
    measured: Measured = {Path(f"/l/{name}.wav"): found for name, found in figures.items()}
    listing = CorpusListing("l", Path("/l/l.csv"), tuple(clips), ignored=("room",))
    return check_clips(clips, measured, [listing], **options)  # type: ignore[arg-type]


def test_every_kind_of_finding_has_its_verdict_and_number() -> None:
    found = check(
        {
            "good": facts("1"),
            "again": facts("1"),
            "quiet": facts("2", peak=9e-5),
            "quiet2": facts("2", peak=9e-5),
            "short": facts("3", duration_s=0.09),
            "broken": "is damaged",
            "music": facts("4", speaks=False),
            "loud": facts("5", full_scale=1e-3),
            "phone": facts("6", rate_hz=8_000),
        }
    )
    assert [(f.check, f.verdict, f.clips) for f in found.findings] == [
        ("copies", Verdict.LEFT_OUT, 1),
        ("silent", Verdict.LEFT_OUT, 2),
        ("too short", Verdict.LEFT_OUT, 1),
        ("cannot be decoded", Verdict.LEFT_OUT, 1),
        ("no speech", Verdict.WARNING, 1),
        ("clipped", Verdict.WARNING, 1),
        ("sampling rates", Verdict.WARNING, 1),
        ("columns", Verdict.WARNING, 0),
    ]
    assert found.left_out == {f"l-{name}" for name in "again quiet quiet2 short broken".split()}
    assert (found.n_clips, found.n_speakers, found.duration_s) == (4, 1, 4.0)
    details = {f.check: f.detail for f in found.findings}
    assert details["copies"] == "equal audio is one clip: again.wav is good.wav"
    assert details["silent"].startswith("quiet.wav is silent, expected speech")
    assert details["silent"].endswith("(and 1 more)")
    assert "16,000 Hz (4), 8,000 Hz (1)" in details["sampling rates"]
    assert found.describe()[2].split()[:4] == ["copies", "1", "left", "out"]
    found.refuse_false_scores()


def test_a_known_corpus_keeps_the_copies_that_it_publishes() -> None:
    clips = [
        Clip(name, Path(f"/r/{name}.wav"), "ravdess", "happy", "7")
        for name in ("03-01-03-01-02-01-07", "03-01-03-01-02-02-07")
    ]
    found = check_clips(clips, {clip.path: facts("1") for clip in clips})
    assert [(f.check, f.verdict, f.clips) for f in found.findings] == [
        ("copies", Verdict.WARNING, 1)
    ]
    assert not found.left_out
    # A copy in the user's own list is left out, wherever it stands.
    own = make_clip(Path("/l/mine.wav"), "happy")
    found = check_clips([own, clips[0]], {c.path: facts("1") for c in (own, clips[0])})
    assert found.left_out == {own.name}


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("EB0", "eb0", True),
        ("1", "01", True),
        ("1", "1.0", True),
        ("s1", "S01", True),
        ("speaker 1", "speaker_1", True),
        ("ann", "ann ", True),
        ("1", "11", False),
        ("10", "1.0", False),
        ("1-1", "11", False),
        ("a1b2", "a1b20", False),
        ("1.5", "1", False),
        ("0", "00", True),
        ("ann", "anna", False),
    ],
)
def test_names_alike_are_told_from_different_ones(one: str, other: str, alike: bool) -> None:
    assert (simplify_speaker(one) == simplify_speaker(other)) is alike


def test_classes_absent_from_folds_are_found() -> None:
    sad, happy = (
        [make_clip(Path(f"{emotion}{n}.wav"), emotion) for n in range(3)]
        for emotion in ("sad", "happy")
    )
    folds = (
        Fold("01", (sad[0],), (), (sad[1], happy[0], happy[1])),
        Fold("02", (sad[0], happy[0]), (), (sad[2],)),
    )
    untrained, untested = find_absent_labels(Protocol("p", 1, "", False, folds))
    assert untrained.clips == 2
    assert untrained.detail.startswith("no training clip of happy in fold 01: such a model never")
    assert untested.detail.startswith("no test clip of happy in fold 02: means over classes")


def test_an_unusable_cache_is_a_warning_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "file"))
    for name in ("a", "b"):
        write_cached(find_cache() / "clips" / name, lambda part: part.write_text("x"))
    (record,) = caplog.records
    assert "the cache cannot be written" in record.message
    assert (tmp_path / "file").read_bytes() == b""
    caplog.clear()

    def fill_disk(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "full"))
    write_cached(find_cache() / "a", fill_disk)
    assert "(No space left on device): results are not kept" in caplog.text
    assert list((tmp_path / "full").iterdir()) == []
    caplog.clear()
    monkeypatch.setenv("EMOVOX_CACHE", "~nobody-of-this-name/x")
    assert find_cache() == find_cache() == NO_CACHE
    write_cached(find_cache() / "a", lambda part: part.write_text("x"))
    assert [r.message.partition(":")[0] for r in caplog.records] == [
        "no home folder, so there is no cache"
    ]


def test_no_home_folder_is_no_cache(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from emovox import cache

    monkeypatch.delenv("EMOVOX_CACHE")
    # Without HOME and an entry of the user, nothing replaces the tilde.
    monkeypatch.setattr(
        cache, "user_cache_path", lambda *_, **__: Path("~nobody-of-this-name/.cache/emovox")
    )
    cache._warn_once.cache_clear()
    assert find_cache() == NO_CACHE
    assert "no home folder" in caplog.text
