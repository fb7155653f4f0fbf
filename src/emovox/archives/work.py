"""Process the recordings of a unit in a worker, and return its part of the rows."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from emovox.archives.embed import embed_recording
from emovox.archives.open_recordings import OpenedItem, open_item
from emovox.archives.pieces import Piece, find_pieces, iterate_piece
from emovox.archives.rows import EXTRA_PREFIX, make_row, make_schema, write_rows
from emovox.archives.settings import What, WorkSpec
from emovox.archives.voices import find_voice
from emovox.recognition.failures import describe_failure
from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import FileFailure, Prediction


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is given: the recordings of a unit, or one of them or a piece of it.

    Attributes:
        unit: Number of the unit.
        recordings: Its recordings, as ``Plan.read`` returns them.
        is_long: Whether it is one long recording, which is cut into pieces.
        piece: The piece to process; ``None``: all of it.
        crashed: Positions of recordings that killed workers, which are not tried again.
        voices: Content of the voice files that the recordings name, by their addresses.
    """

    unit: int
    recordings: list[dict[str, Any]]
    is_long: bool = False
    piece: Piece | None = None
    crashed: frozenset[int] = frozenset()
    voices: dict[str, bytes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of its part, which sorts as the recordings do."""
        piece = "" if self.piece is None else f"-{self.piece.number:04d}"
        return f"{self.unit:08d}{piece}"

    @property
    def n_bytes(self) -> int:
        """Size of its recordings in bytes, as far as it is known."""
        return sum(row["bytes"] or 0 for row in self.recordings)


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What a worker returns.

    Attributes:
        task: The task.
        content: The rows as a Parquet file; ``None`` if the recording was cut into pieces.
        pieces: The pieces that a long recording was cut into.
        n_recordings: Recordings that were processed; of a piece, 1 for the first.
        audio_s: Their duration in seconds, without those that failed.
        errors: How many failed, by code.
    """

    task: Task
    content: bytes | None
    pieces: tuple[Piece, ...] = ()
    n_recordings: int = 0
    audio_s: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)


class Processor:
    """Processes tasks with one recogniser; made once in each worker.

    Args:
        spec: What to do, and with which model.
    """

    def __init__(self, spec: WorkSpec) -> None:
        self.spec = spec
        self._recognizer: Recognizer | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Processor, (self.spec,)

    @property
    def recognizer(self) -> Recognizer:
        """The recogniser, opened when it is first used."""
        if self._recognizer is None:
            self._recognizer = self.spec.open_recognizer()
        return self._recognizer

    def process(self, task: Task, end_recording: Callable[[], None] = lambda: None) -> TaskResult:
        """Process a task.

        Args:
            task: The task.
            end_recording: Called after each recording.

        Returns:
            Its rows, or the pieces that it was cut into; the same whenever it is processed.
        """
        if task.is_long and task.piece is None and self.spec.settings.what == What.TIMELINE:
            pieces = self._cut(task)
            if len(pieces) > 1:
                return TaskResult(replace(task, recordings=_short(task)), None, pieces)
        rows: list[dict[str, Any]] = []
        audio_s = 0.0
        errors: Counter[str] = Counter()
        for position, item in enumerate(task.recordings):
            facts = {
                "recording": item["recording"],
                "source": name_item(item),
                "speaker": item["speaker"],
                "voice": item["voice"],
                **{EXTRA_PREFIX + name: item[name] for name in self.spec.extra_columns},
            }
            own: list[dict[str, Any]] = []
            if position in task.crashed:
                own = [_describe_crash(item)]
            else:
                own.extend(self._process_item(item, task))
            rows += [facts | row for row in own]
            failed = next((row["error_code"] for row in own if row.get("error_code")), None)
            if failed:
                errors[failed] += 1
            audio_s += sum((row.get("end_s") or 0) - (row.get("start_s") or 0) for row in own)
            end_recording()
        schema = make_schema(self.spec, self.recognizer.info.labels)
        n = len(task.recordings) if task.piece is None else int(task.piece.number == 0)
        return TaskResult(
            replace(task, recordings=_short(task)),
            write_rows(rows, schema, self.spec),
            n_recordings=n,
            audio_s=audio_s,
            errors=errors,
        )

    def _process_item(self, item: dict[str, Any], task: Task) -> Iterator[dict[str, Any]]:
        """Yield the rows of one recording; what it got to, and then the failure."""
        sha256 = None
        name = name_item(item)
        try:
            with open_item(item, self.spec.settings) as opened:
                sha256 = opened.sha256
                recognizer = self.recognizer.with_voice(find_voice(item, task.voices))
                for row in self._iterate(recognizer, opened, task.piece):
                    yield row | {"sha256": sha256}
        except Exception as error:  # one recording must not stop the others
            yield make_row(describe_failure(name, error)) | {"sha256": sha256}

    def _iterate(
        self, recognizer: Recognizer, opened: OpenedItem, piece: Piece | None
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows of one opened recording."""
        settings = self.spec.settings
        source, rate_hz, offset_s = opened.source, opened.rate_hz, opened.start_s
        if settings.what == What.EMBED:
            embedding, duration_s = embed_recording(recognizer, source, rate_hz, settings)
            yield {"start_s": offset_s, "end_s": offset_s + duration_s, "embedding": embedding}
            return
        results: Iterator[Prediction | FileFailure]
        if piece is not None:
            results = iterate_piece(recognizer, source, settings, piece)
        elif settings.what == What.TIMELINE:
            results = recognizer.timeline(
                source,
                rate_hz=rate_hz,
                channel=settings.channel,
                track=settings.track,
                max_duration_s=settings.longest_s,
            )
        else:
            given = source if rate_hz is None else (source, rate_hz)
            results = recognizer.predict_many(
                [given], channel=settings.channel, track=settings.track
            )
        for result in results:
            yield make_row(result, offset_s)

    def _cut(self, task: Task) -> tuple[Piece, ...]:
        """Return the pieces of a long recording; none if it fails, as its only task will too."""
        try:
            with open_item(task.recordings[0], self.spec.settings) as opened:
                if opened.rate_hz is not None:
                    return ()
                return find_pieces(self.recognizer, opened.source, self.spec.settings)
        except Exception:
            return ()


def name_item(item: dict[str, Any]) -> str:
    """Return the name of a recording: its address, followed by its name in a tar."""
    return f"{item['source']}::{item['member']}" if item["member"] else str(item["source"])


def _describe_crash(item: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a recording that killed its workers."""
    detail = (
        "its worker process was killed each time it was tried, often because memory ran out; "
        "process it alone, and report it if that fails"
    )
    failure = FileFailure(name_item(item), detail, code="source.crashed", detail=detail)
    return make_row(failure)


def _short(task: Task) -> list[dict[str, Any]]:
    """Return the recordings to send back: only a long one, which its pieces need."""
    return task.recordings if task.is_long else []
