"""The catalogue: what is in it, what it draws from, and that its page says the same."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from emovox.errors import EmovoxError
from emovox.perturbations.catalogue import TESTS, find_tests
from emovox.perturbations.definition import GROUPS, StressTest
from emovox.perturbations.levels import Samples, measure_rms

RATE_HZ = 16_000
PAGE = Path(__file__).parents[2] / "docs" / "stress.md"


def find_test(name: str) -> StressTest:
    (test,) = find_tests([name])
    return test


def make_speech(n_samples: int = RATE_HZ) -> Samples:
    return np.random.default_rng(5).uniform(-0.2, 0.2, n_samples).astype(np.float32)


def test_the_groups_hold_what_is_asked_of_a_model() -> None:
    assert Counter(test.group for test in TESTS) == {
        "small": 10,
        "background": 3,
        "curve": 9,
        "interference": 7,
        "length": 4,
        "phone": 1,
        "codec": 5,
        "room": 3,
        "level": 4,
        "silence": 1,
        "speed": 2,
    }
    order = [list(GROUPS).index(test.group) for test in TESTS]
    assert order == sorted(order)
    assert len({test.name for test in TESTS}) == len(TESTS)


def test_thresholds_stand_where_the_issue_sets_them() -> None:
    asked = {(t.group, t.min_unchanged, t.max_uar_loss) for t in TESTS if t.has_threshold}
    assert asked == {
        ("small", 0.95, None),
        ("background", 0.85, 0.04),
        ("interference", 0.95, None),
        *(("length", None, loss) for loss in (0.12, 0.05, 0.01, 0.03)),
        ("phone", None, 0.05),
    }
    assert str(find_test("white noise").peers) == "0.98 / 0.93"
    assert str(find_test("low-quality phone").peers) == "UAR -0.13 to +0.05"
    assert str(find_test("speed 0.9").peers) == ""


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)
def test_every_test_is_drawn_from_seed_and_clip_alone(test: StressTest, rate_hz: int) -> None:
    speech = make_speech(5 * rate_hz if test.group == "length" else rate_hz // 4)
    before = speech.copy()
    voices = [make_speech(3_000), make_speech(5_000)]
    perturbed = test.perturb(speech, rate_hz, "a", voices=voices)
    assert perturbed.dtype == np.float32
    assert np.isfinite(perturbed).all()
    np.testing.assert_array_equal(speech, before)
    np.testing.assert_array_equal(perturbed, test.perturb(speech, rate_hz, "a", voices=voices))
    assert not np.array_equal(perturbed, speech)


def test_another_clip_or_seed_draws_another_noise() -> None:
    speech, test = make_speech(), find_test("white noise 20 dB")
    drawn = [test.perturb(speech, RATE_HZ, clip, seed=seed) for clip in "ab" for seed in (0, 1)]
    assert len({samples.tobytes() for samples in drawn}) == 4


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.name)
def test_what_claims_no_randomness_gives_the_same_samples_for_every_seed(test: StressTest) -> None:
    speech = make_speech(RATE_HZ // 4)
    drawn = {test.perturb(speech, RATE_HZ, "a", seed=seed).tobytes() for seed in range(6)}
    assert (len(drawn) > 1) == test.is_random


@pytest.mark.parametrize("kind", ["babble", "environment", "white noise"])
def test_a_curve_turns_up_the_same_noise(kind: str) -> None:
    speech = 0.05 * make_speech()

    def draw_noise(snr_db: int) -> Samples:
        mixed = find_test(f"{kind} {snr_db} dB").perturb(
            speech, RATE_HZ, "a", voices=[speech[::-1]]
        )
        # The mix is held at the speech's level: find its scale again.
        speech_part = float(mixed @ speech / (speech @ speech))
        noise: Samples = mixed - np.float32(speech_part) * speech
        return noise

    soft, loud = draw_noise(20), draw_noise(0)
    assert np.corrcoef(soft, loud)[0, 1] > 0.99


@pytest.mark.parametrize("snr_db", [20, 10, 5, 0])
def test_a_background_has_its_ratio_and_the_level_of_the_speech(snr_db: int) -> None:
    time_s = np.arange(RATE_HZ) / RATE_HZ
    speech = (0.05 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
    mixed = find_test(f"white noise {snr_db} dB").perturb(speech, RATE_HZ, "a")
    assert measure_rms(mixed) == pytest.approx(measure_rms(speech), rel=1e-3)
    scale = float(mixed @ speech / (speech @ speech))
    noise = mixed - np.float32(scale) * speech
    reached_db = 20 * np.log10(scale * measure_rms(speech) / measure_rms(noise))
    assert reached_db == pytest.approx(snr_db, abs=0.2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("append zeros", {100, 500, 1_000}),
        ("prepend zeros", {100, 500, 1_000}),
        ("crop beginning", {-100, -500, -1_000}),
        ("crop end", {-100, -500, -1_000}),
    ],
)
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_lengths_are_drawn_from_the_list_and_scale_with_the_rate(
    name: str, expected: set[int], rate_hz: int
) -> None:
    speech, test = make_speech(rate_hz), find_test(name)
    lengths = {
        (len(test.perturb(speech, rate_hz, f"clip {i}")) - len(speech)) * 16_000 // rate_hz
        for i in range(40)
    }
    assert lengths == expected


def test_gains_are_drawn_from_the_list() -> None:
    speech, test = make_speech(), find_test("gain")
    louder = [test.perturb(speech, RATE_HZ, str(i)) for i in range(40)]
    gains = {round(20 * np.log10(measure_rms(x) / measure_rms(speech))) for x in louder}
    assert gains == {-2, -1, 1, 2}


def test_large_gains_clip_as_files_do() -> None:
    speech = np.array([0.5, -0.5, 0.1], np.float32)
    louder = find_test("gain +12 dB").perturb(speech, RATE_HZ, "a")
    np.testing.assert_allclose(louder, [1, -1, 0.1 * 10 ** (12 / 20)], rtol=1e-5)


def test_silence_is_a_second_on_each_side() -> None:
    speech = make_speech(100)
    around = find_test("silence around").perturb(speech, RATE_HZ, "a")
    assert len(around) == 2 * RATE_HZ + 100
    np.testing.assert_array_equal(around[RATE_HZ:-RATE_HZ], speech)


@pytest.mark.parametrize("duration_s", [1, 2, 4])
def test_the_loudest_part_is_cut_out(duration_s: int) -> None:
    speech = 0.1 * make_speech(6 * RATE_HZ)
    speech[RATE_HZ : (1 + duration_s) * RATE_HZ] *= 9
    part = find_test(f"cut to {duration_s} s").perturb(speech, RATE_HZ, "a")
    assert len(part) == duration_s * RATE_HZ
    assert abs(measure_rms(part) / measure_rms(speech[RATE_HZ:][: len(part)]) - 1) < 0.01


def test_a_clip_is_joined_with_five_others_of_its_voice() -> None:
    clips = [np.full(100 + i, i / 10, np.float32) for i in range(8)]
    joined = find_test("joined").perturb(clips[0], RATE_HZ, "a", voices=clips[1:])
    np.testing.assert_array_equal(joined, np.concatenate(clips[:6]))
    alone = find_test("joined").perturb(clips[1], RATE_HZ, "a")
    np.testing.assert_array_equal(alone, np.tile(clips[1], 6))


def test_hum_and_rumble_keep_their_ratio_and_the_level() -> None:
    speech = make_speech()
    for name, snr_db in (("hum 50 Hz", 10), ("hum 60 Hz", 10), ("rumble", 5)):
        mixed = find_test(name).perturb(speech, RATE_HZ, "a")
        scale = float(mixed @ speech / (speech @ speech))
        noise = mixed - np.float32(scale) * speech
        reached_db = 20 * np.log10(scale * measure_rms(speech) / measure_rms(noise))
        assert reached_db == pytest.approx(snr_db, abs=0.5)
        assert measure_rms(mixed) == pytest.approx(measure_rms(speech), rel=1e-3)


def test_a_rate_below_16_khz_is_refused() -> None:
    with pytest.raises(ValueError, match="found a rate of 8000 Hz; expected 16000 or more"):
        find_test("gain").perturb(make_speech(8), 8_000, "a")


def test_tests_are_found_by_group_and_name_in_the_catalogues_order() -> None:
    found = [test.name for test in find_tests(["speed", "additive tone", "speed 0.9"])]
    assert found == ["additive tone", "speed 0.9", "speed 1.1"]
    assert find_tests() == TESTS


def test_an_unknown_test_is_refused() -> None:
    with pytest.raises(EmovoxError, match=r"no stress test 'echo'; expected groups \(small, back"):
        find_tests(["small", "echo"])


def test_the_page_lists_every_test_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for test in TESTS:
        unchanged = "" if test.min_unchanged is None else f"{test.min_unchanged:.2f}"
        loss = "" if test.max_uar_loss is None else f"{test.max_uar_loss:.2f}"
        cells = (f"`{test.name}`", test.group, test.definition, unchanged, loss, str(test.peers))
        assert f"| {' | '.join(cells)} |" in page
