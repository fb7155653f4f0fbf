"""Which clips and voices a stress test takes, in which order, and what its settings refuse."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from emovox.corpora.clips import Clip
from emovox.corpora.folds import Fold
from emovox.errors import EmovoxError
from emovox.perturbations.catalogue import find_tests
from emovox.stress.perturbed_clips import (
    N_VOICES,
    StressSettings,
    choose_clips,
    choose_siblings,
    choose_voices,
    map_in_order,
)


def make_clips(speakers: str, n_clips: int) -> list[Clip]:
    return [
        Clip(f"{speaker}-{i:02d}", Path("x"), "made", "sad", speaker)
        for speaker in speakers
        for i in range(n_clips)
    ]


@pytest.mark.parametrize("n_clips", [1, 4, 7, 20])
def test_clips_are_chosen_evenly_over_speakers(n_clips: int) -> None:
    tested = [("01", clip) for clip in make_clips("abcd", 10)]
    chosen = choose_clips(tested, n_clips)
    assert len(set(chosen)) == n_clips
    counts = Counter(clip.speaker for _, clip in chosen)
    assert (
        max(counts.values()) - min([*counts.values(), 0] if n_clips < 4 else counts.values()) <= 1
    )
    assert set(choose_clips(tested[::-1], n_clips)) == set(chosen)
    # A larger choice holds the smaller one, so that a longer look agrees with a quick one.
    assert set(chosen) <= set(choose_clips(tested, n_clips + 5))


@pytest.mark.parametrize("n_clips", [None, 40, 41])
def test_all_clips_stay_in_their_order(n_clips: int | None) -> None:
    tested = [("01", clip) for clip in make_clips("abcd", 10)]
    assert choose_clips(tested, n_clips) == tested


def test_babble_is_mixed_from_unseen_speakers() -> None:
    test, train = make_clips("abc", 30), make_clips("xyz", 30)
    voices = choose_voices(Fold("01", tuple(train), (), tuple(test)))
    assert Counter(clip.speaker for clip in voices) == dict.fromkeys("abc", N_VOICES // 3)


def test_with_few_test_speakers_babble_is_mixed_from_training_speakers() -> None:
    test, train = make_clips("ab", 30), make_clips("xyz", 3)
    voices = choose_voices(Fold("01", tuple(train), (), tuple(test)))
    assert {clip.speaker for clip in voices} == set("xyz")


def test_a_clip_is_joined_with_the_next_ones_of_its_speaker_and_emotion() -> None:
    clips = make_clips("ab", 8)
    happy = [replace(clip, emotion="happy") for clip in clips[1:3]]
    clips[1:3] = happy
    found = choose_siblings(clips[5], clips)
    assert [clip.name for clip in found] == ["a-06", "a-07", "a-00", "a-03", "a-04"]
    assert choose_siblings(happy[0], clips) == [happy[1]]


@pytest.mark.parametrize("jobs", [1, 3])
def test_results_come_in_the_order_of_the_clips(jobs: int) -> None:
    clips = make_clips("a", 17)
    results = list(map_in_order(lambda clip: [int(clip.name[-2:])], clips, jobs))
    assert results == [[i] for i in range(17)]


@pytest.mark.parametrize(("name", "value"), [("jobs", 0), ("n_clips", 0), ("draws", -1)])
def test_settings_refuse_what_cannot_be(name: str, value: int) -> None:
    with pytest.raises(EmovoxError, match=f"is {value}; expected at least 1"):
        StressSettings(**{name: value})  # type: ignore[arg-type]


def test_settings_run_every_test_unless_told_otherwise() -> None:
    assert StressSettings().tests == find_tests()
