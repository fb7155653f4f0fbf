import base64
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image

from emovox.audio.waveform import Waveform
from emovox.corpora.clips import Clip
from emovox.corpora.ravdess import read_ravdess
from emovox.errors import RunError
from emovox.evaluation.metrics import compute_metrics
from emovox.evaluation.predictions import Predictions
from emovox.evaluation.stress_scores import PerturbedPredictions, score_stress
from emovox.labels import EMOTIONS
from emovox.pages.media import draw_spectrogram, encode_audio, make_clip_media
from emovox.perturbations.catalogue import TESTS, find_tests
from emovox.recipes.recipe import load_recipe
from emovox.report.page import write_report
from emovox.report.stress_plot import plot_noise_curves
from emovox.runs.predictions import read_predictions, write_predictions
from emovox.runs.stress import format_stress

MakeRun = Callable[..., Path]


class PageChecker(HTMLParser):
    """Collects what a page loads and which tags and ids it has."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"script in {tag}: {name}"
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "xlink:href"):
                self.links.append(value or "")
            if name in ("src", "srcset", "poster", "data", "action"):
                self.loads.append(value or "")


def check_page(path: Path) -> PageChecker:
    checker = PageChecker()
    checker.feed(path.read_text(encoding="utf-8"))
    return checker


def count_tag(path: Path, tag: str) -> int:
    return check_page(path).tags.count(tag)


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes the files of a finished run, all from one seed."""

    def make(
        names: list[str] | None = None,
        folds: tuple[str, ...] = ("01",),
        independent: bool = False,
        right: bool = False,
        speaker: str = "",
        run: str = "vanilla",
    ) -> Path:
        generator = np.random.default_rng(0)
        names = names or [f"03-01-{i % 8 + 1:02d}-01-01-01-{i % 4 + 1:02d}" for i in range(36)]
        names = list(dict.fromkeys(names))
        n = len(names)
        true = np.tile([int(name[6:8]) - 1 for name in names], len(folds))
        logits = generator.gumbel(size=(len(true), 8)) + (50 if right else 1.5) * np.eye(8)[true]
        probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        predictions = Predictions(
            np.array(names * len(folds)),
            np.repeat(folds, n),
            np.array([speaker or str(int(name[-2:])) for name in names] * len(folds)),
            np.array(["male" if int(name[-2:]) % 2 else "female" for name in names] * len(folds)),
            true,
            probabilities,
            EMOTIONS,
        )
        folder = tmp_path / "run"
        folder.mkdir()
        write_predictions(folder / "predictions.csv", predictions)
        metrics = compute_metrics(true, probabilities, EMOTIONS)
        score = {"mean": metrics.accuracy, "low": 0.2125, "high": 0.5432}
        content = {
            "format": 1,
            "run": run,
            "recipe": "vanilla",
            "protocol": {
                "name": "emobox-6" if independent else "reference",
                "version": 1,
                "speaker_independent": independent,
                "description": "made for a test",
            },
            "n_clips": n,
            "n_speakers": 4,
            "n_folds": len(folds),
            "n_seeds": 1,
            "summary": dict.fromkeys(("accuracy", "uar", "macro_f1"), score),
            "interval": "95%, 2,000 bootstrap draws over clips",
            "metrics": metrics.to_dict(),
            "folds": [
                {
                    "fold": fold,
                    "accuracy": 0.4,
                    "uar": 0.4,
                    "macro_f1": 0.4,
                    "n_clips": n,
                    "best_epoch": 2,
                    "epochs": 2,
                    "calibration": {
                        "temperature": 2.5 + number,
                        "min_confidence": 0.5,
                        "n_clips": 36,
                        "n_speakers": 4,
                    },
                }
                for number, fold in enumerate(folds)
            ],
            "versions": {"python": "3.11.9", "numpy": "2.2.6"},
            "seconds": 12.0,
            "calibration_interval": {"low": 0.0123, "high": 0.1, "level": 0.95},
        }
        (folder / "metrics.json").write_text(json.dumps(content))
        header = (
            "fold,epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,"
            "learning_rate,seconds\n"
        )
        lines = [f"{fold},{e},{2 / e},0.{e},1.5,0.3,0.001,1\n" for fold in folds for e in (1, 2)]
        (folder / "history.csv").write_text(header + "".join(lines))
        (folder / "recipe.toml").write_text(load_recipe("vanilla").to_toml())
        return folder

    return make


@pytest.fixture
def clips(tone: Path) -> dict[str, Clip]:
    """Return a clip for each name that ``make_run`` makes; all are one tone."""
    names = [f"03-01-{i % 8 + 1:02d}-01-01-01-{i % 4 + 1:02d}" for i in range(36)]
    return {name: Clip(name, tone, "made", "calm", "1", sentence="Kids <talk>") for name in names}


def test_the_page_loads_nothing_and_runs_nothing(make_run: MakeRun, clips: dict[str, Clip]) -> None:
    path = write_report(make_run(), clips)
    page = check_page(path)
    assert path.name == "report.html"
    assert page.loads
    assert all(
        load.startswith(("data:audio/mpeg;base64,", "data:image/png")) for load in page.loads
    )
    assert all(link.startswith("#") for link in page.links)
    assert not {"script", "iframe", "object", "embed", "link", "form"} & set(page.tags)
    text = path.read_text()
    assert "default-src 'none'" in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "@import" not in text


def test_ids_are_unique_and_links_lead_to_them(make_run: MakeRun) -> None:
    page = check_page(write_report(make_run(folds=("01", "02")), None))
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)


def test_the_same_run_gives_the_same_bytes(make_run: MakeRun, clips: dict[str, Clip]) -> None:
    folder = make_run()
    first = write_report(folder, clips).read_bytes()
    assert write_report(folder, clips).read_bytes() == first
    assert sorted(p.name for p in folder.iterdir() if p.name.startswith(".")) == []


def test_scores_stand_with_what_they_rest_on(make_run: MakeRun) -> None:
    text = write_report(make_run(), None).read_text()
    assert "interval 21.2% to 54.3%" in text
    assert "reference, speaker-dependent; 1 fold, 1 seed" in re.sub(r"\s+", " ", text)
    assert "8 clips by 4 speakers" in re.sub(r"\s+", " ", text)
    assert text.count("speaker-dependent") >= 6
    assert "95%, 2,000 bootstrap draws over clips" in text


def test_a_speaker_independent_run_is_not_called_dependent(make_run: MakeRun) -> None:
    text = write_report(make_run(independent=True), None).read_text()
    assert "speaker-independent" in text
    assert "speaker-dependent" not in text.lower()


def test_the_confusion_matrix_is_that_of_the_predictions(make_run: MakeRun) -> None:
    folder = make_run()
    expected = json.loads((folder / "metrics.json").read_text())["metrics"]["confusion"]
    table = write_report(folder, None).read_text()
    table = table[table.index('<table class="confusion">') :]
    table = table[: table.index("</table>")]
    cells = re.findall(r"<td[^>]*>(\d+)", table)
    assert [int(cell) for cell in cells] == [count for row in expected for count in row]


def test_repeated_splits_say_that_tests_are_pooled(make_run: MakeRun) -> None:
    folder = make_run(folds=("01", "02", "03"))
    text = re.sub(r"\s+", " ", write_report(folder, None).read_text())
    assert "24 tests of 8 clips by 4 speakers" in text
    assert "a clip counts each time it was tested" in text
    assert "Faint lines: each of 3 folds" in text


def test_a_page_says_how_far_to_trust_it_and_what_abstaining_brings(make_run: MakeRun) -> None:
    folder = make_run()
    text = re.sub(r"\s+", " ", write_report(folder, None).read_text())
    assert "points</b> (95% interval 1.2 to 10.0)" in text
    assert "over 15 bins of equal width" in text
    assert "Temperature 2.5, fitted on 36 validation clips of 4 speakers." in text
    predictions = read_predictions(folder / "predictions.csv")
    answered = predictions.probabilities.max(axis=1) >= 0.5
    right = (predictions.predicted == predictions.true)[answered].mean()
    assert f"it names an emotion for {answered.mean():.1%} of the test clips" in text
    assert f"is right in {right:.1%} of these" in text
    assert "fitted on validation clips for an accuracy of 80%" in text


def test_several_folds_have_a_range_of_temperatures(make_run: MakeRun) -> None:
    text = write_report(make_run(folds=("01", "02", "03")), None).read_text()
    assert "Temperatures 2.5 to 4.5, each fitted on its fold&#39;s validation clips" in text


def test_a_run_that_was_not_calibrated_says_so(make_run: MakeRun) -> None:
    folder = make_run()
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["folds"][0]["calibration"] |= {"temperature": 1.0, "n_clips": 0, "n_speakers": 0}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    text = write_report(folder, None).read_text()
    assert "Probabilities as trained, not calibrated" in text
    assert "No threshold was fitted" in text


def test_names_are_text_wherever_they_come_from(make_run: MakeRun, clips: dict[str, Clip]) -> None:
    attack = "<script>alert('1')</script>\"><img src=x onerror=a()>"
    folder = make_run(speaker=attack, run=attack)
    path = write_report(folder, clips)
    page = check_page(path)  # refuses event handlers
    assert "script" not in page.tags
    assert "x" not in page.loads
    assert "&lt;script&gt;" in path.read_text()


def test_without_recordings_the_page_says_so(make_run: MakeRun) -> None:
    path = write_report(make_run(), None)
    assert count_tag(path, "audio") == 0
    assert "without the recordings" in path.read_text()


def test_each_mistake_can_be_heard_and_seen(make_run: MakeRun, clips: dict[str, Clip]) -> None:
    path = write_report(make_run(), clips)
    text = path.read_text()
    n_mistakes = text.count('class="verdict"')
    assert n_mistakes > 0
    assert count_tag(path, "audio") == count_tag(path, "img") == n_mistakes
    assert "Kids &lt;talk&gt;" in text


def test_a_recording_that_fails_is_named_on_its_card_and_the_rest_stands(
    make_run: MakeRun, clips: dict[str, Clip], tmp_path: Path
) -> None:
    folder = make_run()
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"not audio")
    total = count_tag(write_report(folder, clips), "audio")
    shown = re.findall(r"Recording (03-[-0-9]+):", write_report(folder, clips).read_text())
    some = dict(clips)
    some[shown[0]] = Clip(shown[0], broken, "made", "calm", "1")
    del some[shown[1]]
    path = write_report(folder, some)
    assert count_tag(path, "audio") == total - 2
    assert path.read_text().count("The recording cannot be read.") == 1
    assert path.read_text().count("The recording was not found.") == 1
    assert str(tmp_path) not in path.read_text()


def test_a_page_shows_what_the_model_bears(make_run: MakeRun) -> None:
    folder = make_run(independent=True)
    assert "Stress tests" not in write_report(folder, None).read_text()
    predictions = PerturbedPredictions(
        speakers=np.array(["1", "2"] * 4),
        true=np.arange(8) % 2,
        plain=np.arange(8) % 2,
        perturbed={
            test.name: (np.arange(8) + (np.arange(8) < i))[None] % 2 for i, test in enumerate(TESTS)
        },
    )
    rows = score_stress([predictions], TESTS, of_clips=1_440, seed=3)
    (folder / "stress.csv").write_text(format_stress(rows))
    path = write_report(folder, None)
    text, page = path.read_text(), check_page(path)
    assert "8 clips of 1,440, evenly over speakers," in text
    assert "1 draw of each random perturbation from seed 3" in text
    for row in rows:
        assert f'<th scope="row">{row.test}</th>' in text
    for result in ("pass", "pass?", "FAIL"):
        assert text.count(f">{result}</span>") == sum(row.result == result for row in rows)
    assert {row.result for row in rows} >= {"pass", "FAIL"}
    assert "speech over noise, dB" in text
    assert "#stress" in page.links
    assert "stress" in page.ids


def test_a_stress_test_of_one_level_has_no_curve(make_run: MakeRun) -> None:
    tests = find_tests(["background", "speed"])
    predictions = PerturbedPredictions(
        speakers=np.array(["1", "2"]),
        true=np.array([0, 1]),
        plain=np.array([0, 1]),
        perturbed={test.name: np.array([[0, 1]]) for test in tests},
    )
    rows = score_stress([predictions], tests, of_clips=2, seed=0)
    assert plot_noise_curves(rows) == ""
    folder = make_run()
    (folder / "stress.csv").write_text(format_stress(rows))
    text = write_report(folder, None).read_text()
    assert "Stress tests" in text
    assert "speech over noise, dB" not in text


def test_a_page_compares_women_and_men(make_run: MakeRun) -> None:
    text = write_report(make_run(), None).read_text()
    assert 'id="fairness"' in text
    # Two of each do not suffice for an interval.
    assert "2 female, 2 male speakers" in text
    assert "too few speakers to tell" in text


def test_a_run_without_mistakes_and_with_absent_classes_has_a_page(make_run: MakeRun) -> None:
    names = ["03-01-01-01-01-01-01", "03-01-02-01-01-01-02"]
    text = write_report(make_run(names=names, right=True), None).read_text()
    assert "There are none: every clip was predicted right." in text
    assert "<p>Every clip was predicted right.</p>" in text
    assert "No test clip of: happy, sad, angry, fearful, disgust, surprised." in text
    assert text.count("no test clip</td>") == 6


def test_a_score_that_chance_explains_is_called_so(make_run: MakeRun) -> None:
    folder = make_run()
    content = json.loads((folder / "metrics.json").read_text())
    content["summary"]["uar"] = {"mean": 0.15, "low": 0.05, "high": 0.25}
    (folder / "metrics.json").write_text(json.dumps(content))
    assert (
        "do not show that it beats the majority baseline" in write_report(folder, None).read_text()
    )


def test_predictions_of_another_evaluation_are_refused(make_run: MakeRun) -> None:
    folder = make_run()
    content = json.loads((folder / "metrics.json").read_text())
    content["metrics"]["confusion"][0][0] += 1
    (folder / "metrics.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match="have different confusions; expected both from one"):
        write_report(folder, None)
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize("name", ["metrics.json", "history.csv", "predictions.csv"])
def test_a_missing_file_is_named(make_run: MakeRun, name: str) -> None:
    folder = make_run()
    (folder / name).unlink()
    with pytest.raises(RunError, match=re.escape(name)):
        write_report(folder, None)


def test_metrics_without_an_entry_name_it(make_run: MakeRun) -> None:
    folder = make_run()
    content = json.loads((folder / "metrics.json").read_text())
    del content["summary"]["uar"]
    (folder / "metrics.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"summary\.uar"):
        write_report(folder, None)


def test_no_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run folder"):
        write_report(tmp_path / "nothing", None)


def test_a_clips_audio_and_picture_are_what_they_say(tone: Path) -> None:
    media = make_clip_media(tone)
    assert media.duration_s == pytest.approx(1.0)
    kind, content = media.audio_uri.split(",")
    assert kind == "data:audio/mpeg;base64"
    samples, rate_hz = sf.read(io.BytesIO(base64.b64decode(content)))
    assert (rate_hz, samples.ndim) == (24_000, 1)
    middle = samples[6_000:18_000]
    assert np.abs(np.fft.rfft(middle)).argmax() * rate_hz / middle.size == pytest.approx(1_000)
    assert np.abs(middle).max() == pytest.approx(0.9, abs=0.05)


def test_the_spectrogram_shows_a_tone_at_its_height() -> None:
    time_s = np.arange(24_000) / 24_000
    samples = (0.1 * np.sin(2 * np.pi * 2_000 * time_s)).astype(np.float32)
    image = Image.open(io.BytesIO(draw_spectrogram(Waveform(samples, 24_000))))
    assert image.size == (360, 120)
    brightness = np.asarray(image.convert("L")).astype(float)[:, 60:300].mean(axis=1)
    # 2 of 8 kHz: a quarter of the height from below.
    assert brightness.argmax() == pytest.approx(90, abs=2)
    assert brightness[:70].max() < brightness.max() / 4


@pytest.mark.parametrize("n_samples", [1, 100, 24_000])
def test_silence_and_a_single_sample_have_their_picture_too(n_samples: int) -> None:
    waveform = Waveform(np.zeros(n_samples, np.float32), 24_000)
    image = Image.open(io.BytesIO(draw_spectrogram(waveform)))
    assert image.size == (360, 120)
    assert len(image.getcolors() or []) == 1
    assert len(encode_audio(waveform)) > 0


def test_a_page_with_real_recordings_stays_small(make_run: MakeRun, reference_clips: Path) -> None:
    known = {clip.name: clip for clip in read_ravdess(reference_clips)}
    path = write_report(make_run(names=sorted(known)), known)
    assert count_tag(path, "audio") == 12
    assert path.stat().st_size < 2_000_000
