"""Timelines and streams on made conversations of speakers that the model was not trained on.

    EMOVOX_DATA=corpora python benchmarks/long_recordings.py [--model default] [--count 6]

Prints emotion diarization scores of the timeline, the stream, a fixed-window baseline and one
prediction for all, and how the stream behaves; writes `benchmarks/long_recordings.csv`, which is
committed. Every fifth speaker of CREMA-D is left out: smoothing and speech detection were chosen on
conversations of these (`--tuning` makes them instead).
"""

import csv
import io
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile as sf
import typer

import live
from conversations import RATE_HZ, Conversation, Segment, make_conversations, merge
from diarization import Scores, Times, draw_scores, measure_times, score_times
from emovox import Prediction, Recognizer, SpeechDetector, Waveform, read_corpus
from emovox.files import write_text
from emovox.recognition.model_file import find_default_model, open_model

TABLE = Path(__file__).with_name("long_recordings.csv")
CORPORA = ("cremad", "nemo")
TUNING_CORPUS, TUNING_EVERY = "cremad", 5
FIXED_S = (1.0, 3.0)
"""Windows of the baselines. Of 1, 1.5, 2 and 3 s, the EDER on tuning speakers was least at 1 s; 3 s
is the length of the timeline's windows."""

BAR = 0.75
LEVEL = 95


class SharedLabels(Recognizer):
    """A recogniser of the emotions that a corpus has, as `emovox evaluate` scores a corpus."""

    labels: tuple[str, ...] = ()

    def score_waveform(self, waveform: Waveform) -> npt.NDArray[np.float64]:
        """Score a waveform, the other emotions left out."""
        scores = super().score_waveform(waveform)
        kept = np.where([label in self.labels for label in self.info.labels], scores, 0)
        normalized: npt.NDArray[np.float64] = kept / kept.sum()
        return normalized


def main(
    model: str = "default",
    count: int = 6,
    duration_s: float = 60.0,
    seed: int = 0,
    tuning: bool = False,
    write: bool = True,
) -> None:
    """Measure both corpora, and print and write the scores."""
    opened = open_model(find_default_model() if model == "default" else model)
    rows: list[dict[str, Any]] = []
    for corpus in (TUNING_CORPUS,) if tuning else CORPORA:
        # No threshold: all systems predict an emotion wherever they detect speech.
        recognizer = SharedLabels(opened, detector=SpeechDetector(), min_confidence=0)
        conversations = make_test(recognizer, corpus, count, duration_s, seed, tuning=tuning)
        rows += measure_corpus(corpus, recognizer, conversations)
    for row in rows:
        typer.echo(
            f"{row['corpus']:<8} {row['system']:<12} {row['measure']:<28} {row['value']:8.3f}"
            + (f"  [{row['low']:.3f}, {row['high']:.3f}]" if row["low"] != "" else "")
        )
    if write and not tuning:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(TABLE, text.getvalue())


def make_test(
    recognizer: SharedLabels, corpus: str, count: int, duration_s: float, seed: int, *, tuning: bool
) -> list[Conversation]:
    """Make the conversations, of speakers that are for this, and restrict the labels to theirs."""
    info = recognizer.info
    clips = [clip for clip in read_corpus(corpus).clips if clip.emotion in info.labels]
    recognizer.labels = tuple(sorted({clip.emotion for clip in clips}))
    for_tuning: set[str] = set()
    if corpus == TUNING_CORPUS:
        for_tuning = set(sorted({clip.speaker for clip in clips})[::TUNING_EVERY])
    seen = set(info.training_speakers)
    chosen = [
        clip
        for clip in clips
        if clip.speaker not in seen and (clip.speaker in for_tuning) == tuning
    ]
    made = make_conversations(corpus, chosen, count, duration_s, seed)
    speakers = {speaker for conversation in made for speaker in conversation.speakers}
    total_s = sum(conversation.duration_s for conversation in made)
    changes = sum(len(conversation.segments) - 1 for conversation in made)
    typer.echo(
        f"{corpus}: {count} conversations, {total_s / 60:.1f} min, {changes} changes, "
        f"{len(speakers)} speakers, {len(recognizer.labels)} emotions"
    )
    return made


def measure_corpus(
    corpus: str, recognizer: SharedLabels, conversations: list[Conversation]
) -> list[dict[str, Any]]:
    """Measure all systems on the conversations of a corpus."""
    labels = recognizer.labels
    streamed = [live.stream_conversation(recognizer, c) for c in conversations]
    predicted: dict[str, list[list[Segment]]] = {
        "timeline": [follow(recognizer, c) for c in conversations],
        "stream": [to_segments(found.segments) for found in streamed],
        **{
            f"fixed {window_s:g} s": [predict_fixed(recognizer, c, window_s) for c in conversations]
            for window_s in FIXED_S
        },
        "one for all": [predict_once(recognizer, c) for c in conversations],
    }
    times: dict[str, list[Times]] = {
        name: [
            measure_times(c.segments, segments, labels)
            for c, segments in zip(conversations, found, strict=True)
        ]
        for name, found in predicted.items()
    }
    draws = draw_scores(times, len(labels))
    rows = []
    for name, of_system in times.items():
        scores = score_times(of_system, len(labels))
        for field in fields(Scores):
            drawn = draws[name][field.name]
            rows.append(make_row(corpus, name, field.name, getattr(scores, field.name), drawn))
    ours = score_times(times["timeline"], len(labels)).eder
    for window_s in FIXED_S:
        name = f"fixed {window_s:g} s"
        ratio = ours / score_times(times[name], len(labels)).eder
        ratios = draws["timeline"]["eder"] / draws[name]["eder"]
        rows.append(make_row(corpus, "timeline", f"eder over {name} (bar {BAR})", ratio, ratios))
    rows += measure_stream(corpus, conversations, streamed, predicted["timeline"], labels)
    rows.append(measure_speed(corpus, recognizer, conversations))
    return rows


def measure_stream(
    corpus: str,
    conversations: list[Conversation],
    streamed: list[live.Streamed],
    timelines: list[list[Segment]],
    labels: tuple[str, ...],
) -> list[dict[str, Any]]:
    """Measure compute, delays, flicker, and agreement with the timeline."""
    compute_ms = 1_000 * np.concatenate([found.compute_s for found in streamed])
    first_s: list[float] = []
    change_s: list[float] = []
    n_changes = changes = 0
    minutes = speech_s = agreed_s = 0.0
    for conversation, found, timeline in zip(conversations, streamed, timelines, strict=True):
        first_s += live.find_first_delays(conversation.segments, found.updates)
        delays, n = live.find_change_delays(conversation.segments, found.updates)
        change_s, n_changes = change_s + delays, n_changes + n
        flicker, shown = live.count_flicker(found.updates)
        changes, minutes = changes + flicker, minutes + shown
        speech, agreed = live.measure_agreement(
            timeline, to_segments(found.segments), labels, conversation.duration_s
        )
        speech_s, agreed_s = speech_s + speech, agreed_s + agreed
    measures = {
        f"compute_ms_p{q} (bar 50 at p95)": np.percentile(compute_ms, q) for q in (50, 95, 99)
    }
    measures |= {f"first_decision_s_p{q} (bar 1.5)": np.percentile(first_s, q) for q in (50, 95)}
    measures |= {
        "change_delay_s_p50": np.median(change_s),
        "changes_shown": len(change_s) / n_changes,
        "flicker_per_minute": changes / minutes,
        "agreement (bar 0.95)": agreed_s / speech_s,
    }
    return [make_row(corpus, "stream", name, float(value)) for name, value in measures.items()]


def measure_speed(
    corpus: str, recognizer: Recognizer, conversations: list[Conversation]
) -> dict[str, Any]:
    """Measure how many times faster than real time a compressed recording is followed."""
    conversation = max(conversations, key=lambda c: c.duration_s)
    encoded = io.BytesIO()
    sf.write(encoded, conversation.samples, RATE_HZ, format="OGG", subtype="OPUS")
    spent_s = []
    for _ in range(3):
        began_s = time.process_time()
        list(recognizer.timeline(encoded.getvalue()))
        spent_s.append(time.process_time() - began_s)
    times = conversation.duration_s / float(np.median(spent_s))
    return make_row(corpus, "timeline", "times_real_time (bar 100)", times)


def make_row(
    corpus: str,
    system: str,
    measure: str,
    value: float,
    drawn: npt.NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Make a row of the table, with an interval over recordings if there are draws."""
    low: float | str = ""
    high: float | str = ""
    if drawn is not None:
        margin = (100 - LEVEL) / 2
        low, high = (round(float(v), 4) for v in np.percentile(drawn, [margin, 100 - margin]))
    return {
        "corpus": corpus,
        "system": system,
        "measure": measure,
        "value": round(float(value), 4),
        "low": low,
        "high": high,
    }


def follow(recognizer: Recognizer, conversation: Conversation) -> list[Segment]:
    """Return the timeline of a conversation."""
    return to_segments([*recognizer.timeline(conversation.samples, rate_hz=RATE_HZ)])


def predict_fixed(
    recognizer: Recognizer, conversation: Conversation, window_s: float
) -> list[Segment]:
    """Predict one window after the other."""
    n = round(window_s * RATE_HZ)
    found: list[Segment] = []
    for start in range(0, len(conversation.samples), n):
        window = conversation.samples[start : start + n]
        prediction = recognizer.predict(window, rate_hz=RATE_HZ)
        found.append((start / RATE_HZ, (start + len(window)) / RATE_HZ, prediction.emotion))
    return list(merge(found))


def predict_once(recognizer: Recognizer, conversation: Conversation) -> list[Segment]:
    """Predict the whole conversation."""
    prediction = recognizer.predict(conversation.samples, rate_hz=RATE_HZ)
    return [(0.0, conversation.duration_s, prediction.emotion)]


def to_segments(predictions: list[Prediction]) -> list[Segment]:
    """Return predictions as segments."""
    return list(merge([(p.start_s, p.end_s, p.emotion) for p in predictions]))


if __name__ == "__main__":
    typer.run(main)
