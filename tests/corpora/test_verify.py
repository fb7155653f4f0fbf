"""Verifying whole, partial and damaged copies."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from emovox.corpora.ravdess import list_ravdess_names
from emovox.corpora.verify import verify_ravdess
from emovox.errors import CorpusError

RATE_HZ = 48_000


def write_clip(path: Path, duration_s: float = 3.0, scale: float = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    samples = scale * rng.standard_normal(round(duration_s * RATE_HZ)).clip(-3, 3)
    sf.write(path, samples, RATE_HZ, subtype="PCM_16")
    return path


def test_counts_by_emotion_and_speaker(tmp_path: Path) -> None:
    write_clip(tmp_path / "Actor_03/03-01-05-01-01-01-03.wav", 3.0)
    write_clip(tmp_path / "Actor_03/03-01-01-01-01-01-03.flac", 4.0)
    write_clip(tmp_path / "Actor_24/03-01-05-01-01-01-24.wav", 5.0)
    steps: list[tuple[int, int]] = []
    check = verify_ravdess(tmp_path, report=lambda done, whole: steps.append((done, whole)))
    assert (check.sound, check.expected, len(check.missing)) == (3, 1440, 1437)
    assert not check.is_complete
    assert check.duration_s == pytest.approx(12.0)
    assert steps == [(1, 3), (2, 3), (3, 3)]
    emotions = {group.name: group for group in check.emotions}
    assert (emotions["angry"].sound, emotions["angry"].expected) == (2, 192)
    assert emotions["angry"].duration_s == pytest.approx(8.0)
    assert (emotions["neutral"].sound, emotions["neutral"].expected) == (1, 96)
    assert emotions["happy"].sound == 0
    speakers = {group.name: group for group in check.speakers}
    assert list(speakers) == [str(actor) for actor in range(1, 25)]
    assert (speakers["3"].sound, speakers["3"].expected, speakers["3"].gender) == (2, 60, "male")
    assert speakers["24"].gender == "female"


def test_each_kind_of_damage_is_named_and_not_counted(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "03-01-05-01-01-01-01.wav").read_bytes()
    write_clip(tmp_path / "03-01-05-01-01-01-02.wav", 0.0)
    (tmp_path / "03-01-05-01-01-01-03.wav").write_bytes(whole[:100_000])
    (tmp_path / "03-01-05-01-01-01-04.wav").write_bytes(b"")
    (tmp_path / "03-01-05-01-01-01-05.wav").write_bytes(b"<html>404</html>")
    write_clip(tmp_path / "03-01-05-01-01-01-06.wav", scale=0.0)
    write_clip(tmp_path / "03-01-05-01-01-01-07.wav", 1.0)
    flac = write_clip(tmp_path / "03-01-05-01-01-01-08.flac")
    flac.write_bytes(flac.read_bytes()[:60_000])
    (tmp_path / "03-01-05-01-01-01-09.wav").symlink_to(tmp_path / "gone.wav")
    check = verify_ravdess(tmp_path)
    assert check.sound == 1
    assert len(check.missing) == 1440 - 9
    problems = {clip.path.stem[-2:]: clip.problem for clip in check.damaged}
    assert sorted(problems) == ["02", "03", "04", "05", "06", "07", "08", "09"]
    assert "is silent, expected speech" in problems["06"]
    assert "lasts 1.00 s, expected at least 2.5 s" in problems["07"]
    assert "empty" in problems["04"]
    assert all(problem and "\n" not in problem for problem in problems.values())


def test_copies_strays_and_misplaced_clips_are_reported(tmp_path: Path) -> None:
    write_clip(tmp_path / "Actor_04/03-01-05-01-01-01-03.wav")
    copy = write_clip(tmp_path / "a/b/Actor_05/03-01-05-01-01-01-05.wav")
    write_clip(tmp_path / "Actor_05/03-01-05-01-01-01-05.wav")
    stray = write_clip(tmp_path / "take.wav")
    check = verify_ravdess(tmp_path)
    assert check.misplaced == (tmp_path / "Actor_04/03-01-05-01-01-01-03.wav",)
    assert check.duplicates == (copy,)
    assert check.strays == (stray,)
    row = check.to_dict()
    assert row["duplicates"] == [str(copy)]
    assert (row["sound"], row["complete"]) == (2, False)


def test_a_whole_copy_is_complete_unless_a_clip_lies_under_another_actor(tmp_path: Path) -> None:
    # Links to one recording: 1,440 files need not be written to count to 1,440.
    recording = write_clip(tmp_path / "one" / "recording.bin.wav", 2.5)
    for name in list_ravdess_names():
        clip = tmp_path / "all" / f"Actor_{name[-2:]}" / f"{name}.wav"
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.symlink_to(recording)
    check = verify_ravdess(tmp_path / "all")
    assert check.is_complete
    assert (check.missing, check.damaged) == ((), ())
    clip.rename(tmp_path / "all" / "Actor_01" / clip.name)
    moved = verify_ravdess(tmp_path / "all")
    assert moved.sound == 1440
    assert not moved.is_complete


def test_a_folder_without_clips_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no RAVDESS speech clip to verify"):
        verify_ravdess(tmp_path)


@pytest.mark.corpus
def test_the_real_corpus_is_whole(ravdess: Path) -> None:
    check = verify_ravdess(ravdess / "ravdess" / "speech")
    assert check.is_complete
    assert check.sound == 1440
    assert [group.sound for group in check.emotions] == [96] + [192] * 7
    assert [group.sound for group in check.speakers] == [60] * 24
    assert round(check.duration_s / 60, 1) == 88.8
    assert check.duplicates == check.strays == ()
