"""Timelines in the formats of other programs, read back by those programs' own libraries."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pysubs2
import pytest
import yaml
from praatio import textgrid
from pyannote.core import Annotation, Segment

from emovox.errors import EmovoxError
from emovox.recognition.results import Prediction
from emovox.timeline.formats import format_time, format_timeline, write_audformat

SAD = {"sad": 0.7, "happy": 0.3}
SEGMENTS = (
    Prediction("my call.wav", 0.0, 1.0004, None, None, None, "no speech"),
    Prediction("my call.wav", 1.0004, 3.5, "sad", 0.7, SAD),
    Prediction("my call.wav", 3.5, 3.5003, None, 0.4, SAD, "too short"),
    Prediction("my call.wav", 3.5003, 3_700.25, None, 0.4, SAD, "uncertain"),
)
"""One segment is shorter than the millisecond that these formats resolve."""

EACH = (
    *(replace(segment, channel=1) for segment in SEGMENTS),
    Prediction("my call.wav", 0.0, 3_700.25, "happy", 0.9, SAD, channel=2),
)


@pytest.mark.parametrize("output", ["srt", "vtt"])
def test_subtitles_read_back(output: str) -> None:
    found = pysubs2.SSAFile.from_string(format_timeline(SEGMENTS, output))
    assert found.format == output
    assert [(cue.start, cue.end, cue.text) for cue in found] == [
        (0, 1_000, "no speech"),
        (1_000, 3_500, "sad 70%"),
        (3_500, 3_700_250, "uncertain 40%"),
    ]


def test_subtitles_show_the_channel_in_order_of_time() -> None:
    found = pysubs2.SSAFile.from_string(format_timeline(EACH, "srt"))
    assert [cue.text for cue in found][:2] == ["channel 1: no speech", "channel 2: happy 90%"]


def test_labels_cannot_break_a_file() -> None:
    odd = Prediction("a.wav", 0, 1, 'a<b> & "c"\n\n9', 0.7, {'a<b> & "c"\n\n9': 0.7})
    assert format_timeline([odd], "vtt").splitlines()[3:] == [
        'a&lt;b&gt; &amp; "c"\\n\\n9 70%',
    ]
    (cue,) = pysubs2.SSAFile.from_string(format_timeline([odd], "srt"))
    assert (cue.start, cue.end) == (0, 1_000)
    grid = format_timeline([odd], "textgrid")
    assert 'text = "a<b> & ""c""\\n\\n9"' in grid
    assert len(format_timeline([odd], "rttm").split()) == 10


def test_rttm_is_what_pyannote_writes() -> None:
    text = format_timeline(SEGMENTS, "rttm")
    annotation = Annotation(uri="my_call")
    annotation[Segment(1.0, 3.5)] = "sad"
    annotation[Segment(3.5, 3_700.25)] = "uncertain"
    # pyannote writes no confidence, which is the ninth field.
    without = re.sub(r" \d\.\d{3} <NA>$", " <NA> <NA>", text, flags=re.MULTILINE)
    assert without == annotation.to_rttm()
    assert [line.split()[8] for line in text.splitlines()] == ["0.700", "0.400"]


def test_rttm_takes_several_recordings_and_channels() -> None:
    other = Prediction(None, 0, 1, "sad", 0.7, SAD)
    lines = [line.split() for line in format_timeline([*EACH, other], "rttm").splitlines()]
    assert [(line[1], line[2]) for line in lines] == [
        ("my_call", "1"),
        ("my_call", "1"),
        ("my_call", "2"),
        ("stdin", "1"),
    ]
    assert format_timeline(SEGMENTS[:1], "rttm") == ""


def test_textgrid_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(format_timeline(EACH, "textgrid"), encoding="utf-8")
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
    assert grid.tierNames == ("emotion channel 1", "emotion channel 2")
    assert (grid.minTimestamp, grid.maxTimestamp) == (0, 3_700.25)
    first, second = (grid.getTier(name).entries for name in grid.tierNames)
    assert [tuple(entry) for entry in first] == [
        (0, 1.0, "no speech"),
        (1.0, 3.5, "sad"),
        (3.5, 3_700.25, "uncertain"),
    ]
    assert [tuple(entry) for entry in second] == [(0, 3_700.25, "happy")]


def test_audformat_has_its_header_and_table(tmp_path: Path) -> None:
    write_audformat(tmp_path, EACH, ["sad", "happy"], "größe")
    header = yaml.safe_load((tmp_path / "db.yaml").read_text(encoding="utf-8"))
    assert header == json.loads((tmp_path / "db.yaml").read_text(encoding="utf-8"))
    columns = header["tables"]["emotion"]["columns"]
    assert {column["scheme_id"] for column in columns.values()} == set(header["schemes"])
    with (tmp_path / "db.emotion.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "start", "end", *columns]
    assert rows[1] == {
        "file": "my call.wav",
        "start": "0 days 00:00:01.000",
        "end": "0 days 00:00:03.500",
        "emotion": "sad",
        "confidence": "0.700000",
        "abstained": "",
        "channel": "1",
    }


def test_audformat_reads_it(tmp_path: Path) -> None:
    audformat = pytest.importorskip("audformat", reason="audformat brings pyarrow, 40 MB")
    write_audformat(tmp_path, EACH, ["sad", "happy"], "encoder")
    table = audformat.Database.load(tmp_path)["emotion"].df
    assert table.index.get_level_values("end").total_seconds().tolist()[1:] == [
        3.5,
        3_700.25,
        3_700.25,
    ]
    assert table["emotion"].dropna().tolist() == ["sad", "happy"]
    assert table["channel"].tolist() == [1, 1, 1, 2]


def test_a_format_of_one_recording_refuses_two() -> None:
    other = Prediction("b.wav", 0, 1, "sad", 0.7, SAD)
    for output in ("srt", "vtt", "textgrid"):
        with pytest.raises(EmovoxError, match="segments of 2 recordings; expected one"):
            format_timeline([*SEGMENTS, other], output)
    with pytest.raises(EmovoxError, match="is 'docx'; expected one of srt, vtt, rttm, textgrid"):
        format_timeline(SEGMENTS, "docx")


@pytest.mark.parametrize(
    ("time_s", "text"), [(0, "0:00:00.0"), (59.96, "0:01:00.0"), (86_399.9, "23:59:59.9")]
)
def test_times_are_hours_minutes_and_seconds(time_s: float, text: str) -> None:
    assert format_time(time_s) == text
