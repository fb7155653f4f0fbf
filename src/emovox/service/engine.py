"""One process' recogniser, its lanes and what it holds: everything the routes need."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from emovox.recognition.recognizer import Recognizer
from emovox.recognition.results import Prediction
from emovox.service.answers import Options, RequestRecognizer, enroll, make_timeline, predict
from emovox.service.lanes import Lane, Ticket
from emovox.service.metrics import Metrics
from emovox.service.settings import ServiceSettings
from emovox.service.uploads import HeldBytes, PendingBytes

Result = TypeVar("Result")
Work = Callable[[RequestRecognizer], Result]


class Engine:
    """What one process of the service computes with.

    Args:
        recognizer: An open model and speech detector, shared by all requests.
        settings: Limits.
        metrics: Counters of this process.
    """

    def __init__(self, recognizer: Recognizer, settings: ServiceSettings, metrics: Metrics) -> None:
        limits = settings.limits
        self.recognizer = recognizer
        self.settings = settings
        self.limits = limits
        self.metrics = metrics
        self.pending = PendingBytes(limits.pending_bytes)
        self.short = Lane("short", limits.waiting)
        self.long = Lane("long", max(1, limits.waiting // 4))
        self.live = Lane("live", 4 * limits.streams)
        self.is_closing = False
        self.n_streams = 0

    async def predict(self, audio: bytes, options: Options, gone: Awaitable[object]) -> Prediction:
        """Predict the emotion of a recording."""
        prediction = await self._compute(
            self.short,
            self.limits.predict_s,
            options,
            lambda recognizer: predict(recognizer, audio, options),
            gone,
        )
        self.metrics.add("emovox_audio_seconds_total", prediction.end_s)
        return prediction

    async def make_timeline(
        self, audio: bytes, options: Options, gone: Awaitable[object]
    ) -> list[Prediction]:
        """Follow the emotion through a recording."""
        segments = await self._compute(
            self.long,
            self.limits.timeline_s,
            options,
            lambda recognizer: make_timeline(recognizer, audio, options),
            gone,
        )
        self.metrics.add("emovox_audio_seconds_total", segments[-1].end_s if segments else 0.0)
        return segments

    async def enroll(self, audio: bytes, options: Options, gone: Awaitable[object]) -> bytes:
        """Return the voice of a recording."""
        return await self._compute(
            self.short,
            self.limits.predict_s,
            options,
            lambda recognizer: enroll(recognizer, audio),
            gone,
        )

    async def _compute(
        self,
        lane: Lane,
        max_duration_s: float,
        options: Options,
        work: Work[Result],
        gone: Awaitable[object],
    ) -> Result:
        """Run work in a lane, with a recogniser that stops when the result is not wanted."""
        ticket = Ticket(self.limits.deadline_s)
        recognizer = RequestRecognizer(
            self.recognizer,
            options,
            max_duration_s=max_duration_s,
            max_channels=self.limits.channels,
            check=ticket.check,
        )
        return await lane.run(ticket, lambda: work(recognizer), gone)

    @contextmanager
    def hold(self) -> Iterator[HeldBytes]:
        """Yield an account of the bytes of one request, which is settled at its end."""
        try:
            with self.pending.hold() as held:
                yield held
        finally:
            self.update_gauges()

    def update_gauges(self) -> None:
        """Bring the gauges of this process up to date."""
        waiting = sum(lane.waiting for lane in (self.short, self.long, self.live))
        self.metrics.set("emovox_waiting_requests", waiting)
        self.metrics.set("emovox_pending_bytes", self.pending.held)
        self.metrics.set("emovox_open_streams", self.n_streams)

    def close(self) -> None:
        """End the threads once their work has ended."""
        self.is_closing = True
        for lane in (self.short, self.long, self.live):
            lane.close()
