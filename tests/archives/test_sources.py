import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile as sf
from tests.archives.conftest import Rows
from tests.archives.s3_server import S3Server, serve_s3

from emovox import Recognizer
from emovox.archives import addresses, pieces, plan
from emovox.archives.folder import ArchiveFolder
from emovox.archives.rows import EXTRA_PREFIX
from emovox.archives.settings import ArchiveSettings, make_spec
from emovox.archives.sources import BATCH_ROWS, Listing, list_recordings
from emovox.archives.voices import read_voices
from emovox.archives.work import Processor, Task
from emovox.errors import ArchiveError, EmovoxError

Process = Callable[[str], Rows]


@pytest.fixture(scope="module")
def process(settings: ArchiveSettings) -> Process:
    """Return a function that processes a source in this process."""

    def run(source: str) -> Rows:
        listing = list_recordings(source)
        items = [row for table in listing.tables for row in table.to_pylist()]
        task = Task(0, [item | {"recording": n} for n, item in enumerate(items)])
        processor = Processor(make_spec(settings, listing.extra_columns))
        content = processor.process(task).content
        assert content is not None
        rows: Rows = pq.read_table(io.BytesIO(content)).to_pylist()
        return rows

    return run


def strip(rows: Rows) -> Rows:
    """Return rows without what names the recording."""
    names = ("recording", "source")
    return [{k: v for k, v in row.items() if k not in names} for row in rows]


@pytest.fixture(scope="module")
def from_folder(process: Process, clips: Path) -> Rows:
    """Return the rows of the clips."""
    return strip(process(str(clips)))


def test_a_glob_and_a_tar_give_the_rows_of_the_folder(
    process: Process, from_folder: Rows, clips: Path, tmp_path: Path
) -> None:
    assert strip(process(f"{clips}/*.wav")) == from_folder
    shards = tmp_path / "shards"
    shards.mkdir()
    files = sorted(clips.iterdir(), key=lambda path: int(path.stem.rpartition("_")[2] or 99) if
                   path.stem != "damaged" else 99)  # fmt: skip
    for number, part in enumerate((files[:20], files[20:])):
        with tarfile.open(shards / f"{number:05d}.tar", "w") as tar:
            for path in part:
                tar.add(path, f"../{path.name}")  # a name that would leave the folder
                text = path.with_suffix(".json").name
                tar.addfile(tarfile.TarInfo(text), io.BytesIO())
            link = tarfile.TarInfo("link.wav")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
    rows = process(str(shards / "*.tar"))
    assert strip(rows) == from_folder
    assert rows[0]["source"].endswith("00000.tar::../clip_1.wav")


def test_a_zip_of_hostile_recordings_gives_what_each_of_them_gives(
    process: Process, loudness_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "MAX_STREAM_BYTES", 2**20)
    sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
    try:
        from fuzz_files import Recordings
    finally:
        sys.path.pop(0)
    fuzzed = Recordings(tmp_path)
    contents = [fuzzed.make(np.random.default_rng([3, number])) for number in range(60)]
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for number, content in enumerate(contents):
            packed.writestr(f"../../{number:03d}.wav", content)
        packed.writestr("bomb.wav", bytes(2**20 + 1))
    rows = process(str(tmp_path / "a.zip"))
    recognizer = Recognizer.load(loudness_model, vad=False)
    found = [*recognizer.predict_many(contents)]
    assert [row["error_code"] for row in rows] == [
        *(getattr(result, "code", None) for result in found),
        "audio.too_large",
    ]
    assert len({row["error_code"] for row in rows}) > 4
    assert rows[0]["source"].endswith("a.zip::../../000.wav")


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100, b"\x1f\x8b\x08" + bytes(600)])
def test_what_is_no_tar_is_an_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="not compressed"):
        list(list_recordings(str(path)).tables)


def test_a_manifest_names_parts_speakers_and_columns_of_its_own(
    process: Process, clips: Path, tmp_path: Path
) -> None:
    ramp = np.repeat([0.1, 0.3, 0.5], 8_000) * np.resize([1.0, -1.0], 24_000)
    sf.write(tmp_path / "ramp.wav", np.stack([ramp, ramp], 1), 8_000, subtype="FLOAT")
    manifest = tmp_path / "list.csv"
    manifest.write_text(
        "file;start;end;Speaker;site\n"
        f"{clips}/clip_3.wav;;;ann;north\n"
        "ramp.wav;1;2;bob;south\n"
        "ramp.wav;2;;bob;\n"
        "ramp.wav;2;1;bob;south\n"
        "ramp.wav;7;8;bob;south\n"
        "missing.wav;;;ann;north\n",
        encoding="utf-8-sig",
    )
    rows = process(str(manifest))
    assert [row["speaker"] for row in rows] == ["ann", "bob", "bob", "bob", "bob", "ann"]
    assert [row[EXTRA_PREFIX + "site"] for row in rows[:3]] == ["north", "south", None]
    assert [(row["start_s"], row["end_s"]) for row in rows[:3]] == [(0, 0.7), (1, 2), (2, 3)]
    assert [row["score_loud"] for row in rows[:3]] == pytest.approx([0.03, 0.3, 0.5], abs=1e-6)
    codes = [row["error_code"] for row in rows]
    assert codes == [None] * 3 + ["audio.bad_part"] * 2 + ["audio.not_found"]

    table = pa.table({
        "path": [str(clips / "clip_3.wav"), "ramp.wav", "ramp.wav"],
        "start_s": [None, 1.0, 2.0],
        "end_s": [None, 2.0, None],
        "speaker": ["ann", "bob", "bob"],
        "site": pa.array(["north", "south", None]).dictionary_encode(),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "list.parquet")
    assert process(str(tmp_path / "list.parquet")) == rows[:3]


def test_voices_of_a_manifest_are_taken_off_and_embeddings_written(
    clips: Path, voice_model: Path, tmp_path: Path
) -> None:
    recognizer = Recognizer.load(voice_model, vad=False)
    ann = recognizer.enroll([clips / "clip_30.wav"] * 6)
    ann.save(tmp_path / "ann.voice")
    (tmp_path / "bad.voice").write_text("{}")
    manifest = tmp_path / "list.csv"
    names = ["", "ann.voice", "bad.voice", "missing.voice"]
    rows = [f"{clips}/clip_20.wav,{name}\n" for name in names]
    manifest.write_text("file,voice\n" + "".join(rows))
    items = [row for table in list_recordings(str(manifest)).tables for row in table.to_pylist()]
    for number, item in enumerate(items):
        item["recording"] = number
    task = Task(0, items, voices=read_voices(items))
    found = {}
    for what in ("predict", "embed"):
        processor = Processor(
            make_spec(ArchiveSettings(what=what, model=voice_model, vad=False), ())
        )
        content = processor.process(task).content
        found[what] = pq.read_table(io.BytesIO(content or b"")).to_pylist()
    plain, adapted = (
        recognizer.predict(clips / "clip_20.wav", voice=voice).scores for voice in (None, ann)
    )
    assert plain is not None and adapted is not None and plain["loud"] > adapted["loud"] + 0.1
    scores = [row["score_loud"] for row in found["predict"]]
    assert scores == [np.float32(plain["loud"]), np.float32(adapted["loud"]), None, None]
    assert found["predict"][1]["voice"] == str(tmp_path / "ann.voice")
    codes = [row["error_code"] for row in found["predict"]]
    assert codes == [None, None, "voice.foreign", "voice.unreadable"]
    embedding = recognizer.embed(clips / "clip_20.wav").tolist()
    assert [row["embedding"] for row in found["embed"][:2]] == [embedding] * 2
    assert found["embed"][0]["end_s"] == 0.7


def test_an_audformat_database_names_segments_and_speakers(
    process: Process, clips: Path, tmp_path: Path
) -> None:
    (tmp_path / "db.yaml").write_text("name: made\n")
    first, second = clips / "clip_4.wav", clips / "clip_5.wav"
    (tmp_path / "db.files.csv").write_text(f"file,speaker\n{first},ann\n{second},bob\n")
    (tmp_path / "db.segments.csv").write_text(
        f"file,start,end,emotion\n{first},0 days 00:00:00.100000,0 days 00:00:00.6,x\n"
        f"{second},0 days,NaT,x\n".replace("0 days,", "0 days 00:00:00,")
    )
    rows = process(str(tmp_path))
    times = [(row["speaker"], row["start_s"], row["end_s"]) for row in rows]
    assert times == [("ann", 0, 0.7), ("bob", 0, 0.7), ("ann", 0.1, 0.6)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no-such-folder", "no such file or folder"),
        ("xyz://bucket/a", "xyz"),
        ("list.csv", "expected one for the recording"),
        ("list.parquet", "cannot be read"),
    ],
)
def test_sources_that_cannot_be_listed(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.csv").write_text("speaker,emotion\na,b\n")
    Path("list.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(EmovoxError, match=message):
        list(list_recordings(source).tables)


def test_an_empty_source_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="holds no recordings"):
        plan.write_plan(tmp_path / "plan", Listing(iter(())), "nothing")


def test_names_that_are_not_text_are_processed(
    process: Process, clips: Path, tmp_path: Path, from_folder: Rows
) -> None:
    name = bytes(tmp_path) + b"/gr\xf6\xdfe %41.wav"
    with open(name, "wb") as file:
        file.write((clips / "clip_1.wav").read_bytes())
    (row,) = process(str(tmp_path))
    assert row["source"].startswith("file:///") and row["source"].endswith("gr%F6%DFe%20%2541.wav")
    assert strip([row]) == from_folder[:1]


@pytest.fixture
def s3(clips: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    monkeypatch.setattr(addresses, "WAIT_S", 0.001)
    with serve_s3(clips) as server:
        yield server


def test_an_object_store_that_fails_for_a_while_gives_the_same_rows(
    process: Process, from_folder: Rows, s3: S3Server
) -> None:
    s3.failing, s3.cut = 6, 3
    rows = process(f"{s3.address}/clips")
    assert strip(rows) == from_folder
    assert rows[0]["source"] == "s3://archive/clips/clip_1.wav"
    assert s3.failing == s3.cut == 0
    assert strip(process(f"{s3.address}/clips/clip_[1-3].wav")) == from_folder[:3]
    # It fails for too long: the recording is a failure that can be tried again, the rest goes on.
    s3.failing = 10**6
    (row,) = process(f"{s3.address}/clips/clip_2.wav")
    assert row["error_code"] == "source.unavailable"


def test_long_recordings_give_the_same_timeline_in_pieces(
    tmp_path: Path, settings: ArchiveSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    parts = []
    for turn in range(12):
        parts.append(rng.uniform(-1, 1, 8_000 * (2 + turn % 4)) * (0.2 + 0.06 * turn))
        parts.append(np.zeros(8_000 if turn % 3 else 2_400))
    path = tmp_path / "long.wav"
    sf.write(path, np.concatenate(parts), 8_000)
    monkeypatch.setattr(plan, "LONG_BYTES", 1_000)
    monkeypatch.setattr(pieces, "MIN_PIECE_S", 8.0)
    of_timeline = ArchiveSettings(what="timeline", model=settings.model, vad=False)
    planned = plan.write_plan(tmp_path / "plan", list_recordings(str(path)), str(path))
    processor = Processor(make_spec(of_timeline, ()))
    unit = planned.unit(0)
    whole = Task(0, planned.read(unit), unit.is_long)
    cut = processor.process(whole)
    assert cut.content is None and len(cut.pieces) >= 4
    folder = ArchiveFolder(tmp_path / "out")
    folder.write_result(cut)
    rows: list[dict[str, Any]] = []
    for piece in folder.read_pieces(0):
        content = processor.process(Task(0, cut.task.recordings, True, piece)).content
        rows += pq.read_table(io.BytesIO(content or b"")).to_pylist()
    expected = [*Recognizer.load(settings.model, vad=False).timeline(path)]
    assert len(expected) > 12
    assert [(r["start_s"], r["end_s"], r["emotion"], r["abstained"]) for r in rows] == [
        (p.start_s, p.end_s, p.emotion, p.abstained) for p in expected
    ]
    scores = [None if p.scores is None else np.float32(p.scores["loud"]) for p in expected]
    assert [row["score_loud"] for row in rows] == scores
    assert json.loads((folder.parts / "00000000.json").read_text())[0]["number"] == 0


def test_a_hundred_thousand_recordings_are_planned_in_the_order_of_the_manifest(
    tmp_path: Path,
) -> None:
    n = 2 * BATCH_ROWS + 10
    table = pa.table({"file": [f"s3://b/{i}.wav" for i in range(n)], "bytes": [1_000] * n})
    pq.write_table(table, tmp_path / "list.parquet", row_group_size=10_000)
    planned = plan.write_plan(
        tmp_path / "plan", list_recordings(str(tmp_path / "list.parquet")), "list"
    )
    assert (planned.n_recordings, planned.n_bytes) == (n, 1_000 * n)
    rows = [row for at in (65, 66, len(planned) - 1) for row in planned.read(planned.unit(at))]
    assert [row["source"] for row in rows] == [f"s3://b/{r['recording']}.wav" for r in rows]
    assert [r["recording"] for r in rows] == [*range(65_000, 67_000), *range(131_000, n)]
