"""The routes of the HTTP interface: read a request, compute, answer."""

from base64 import b64encode
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from emovox.audio.limits import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ
from emovox.audio.raw import ENCODINGS, RawFormat
from emovox.service.answers import Options
from emovox.service.engine import Engine
from emovox.service.problems import MEDIA_TYPE, ServiceError
from emovox.service.schemas import EnrolledVoice, Health, Model, Models, Problem, Segment, Timeline
from emovox.service.streams import serve_stream
from emovox.service.uploads import read_upload


class RecordingQuery(BaseModel):
    """Options of a recording, in the query."""

    model_config = ConfigDict(extra="forbid")

    channel: str = Field(
        "mix",
        pattern=r"^(mix|left|right|[1-9]|[12][0-9]|3[0-2])$",
        description="mix (all channels that hold speech), left, right, or a channel's number.",
    )
    track: int | None = Field(
        None, ge=1, le=1_000, description="Number of the audio track; by default, one with speech."
    )
    min_confidence: float | None = Field(
        None, ge=0, le=1, description="Predictions below it are uncertain; default: the model's."
    )
    vad: bool = Field(True, description="Detect speech first.")
    raw_rate_hz: int | None = Field(
        None,
        ge=MIN_RATE_HZ,
        le=MAX_RATE_HZ,
        description="Sampling rate in Hz of samples without a header.",
    )
    raw_format: str = Field(
        "s16le",
        pattern=f"^({'|'.join(ENCODINGS)})$",
        description=f"Their format: {', '.join(ENCODINGS)}.",
    )
    raw_channels: int = Field(1, ge=1, le=MAX_CHANNELS, description="Their number of channels.")

    def to_options(self, voice: bytes | None) -> Options:
        """Return the options of a request."""
        raw = None
        if self.raw_rate_hz is not None:
            raw = RawFormat(self.raw_rate_hz, self.raw_format, self.raw_channels)
        elif {"raw_format", "raw_channels"} & self.model_fields_set:
            raise ServiceError("raw_format and raw_channels also need raw_rate_hz; add it")
        return Options(
            channel=self.channel,
            track=self.track,
            raw=raw,
            min_confidence=self.min_confidence,
            vad=self.vad,
            voice=voice,
        )


class TimelineQuery(RecordingQuery):
    """Options of a timeline, in the query."""

    channel: str = Field(
        "mix",
        pattern=r"^(mix|each|left|right|[1-9]|[12][0-9]|3[0-2])$",
        description="As for /v1/predict, or each: every channel separately.",
    )


_BINARY = {"type": "string", "format": "binary"}
_UPLOAD = {
    "requestBody": {
        "required": True,
        "description": "The recording: WAV, FLAC, Ogg, Opus, MP3, M4A, MP4, WebM, ...; its format "
        "is found by its content.",
        "content": {
            "application/octet-stream": {"schema": _BINARY},
            "audio/*": {"schema": _BINARY},
            "video/*": {"schema": _BINARY},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {**_BINARY, "description": "The recording."},
                        "voice": {
                            "type": "string",
                            "description": "A voice that /v1/enroll returned.",
                        },
                    },
                    "required": ["file"],
                    "additionalProperties": False,
                }
            },
        },
    }
}
_VOICE = {
    "parameters": [
        {
            "name": "X-Emovox-Voice",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "contentEncoding": "base64"},
            "description": "A voice that /v1/enroll returned, if the body is the recording.",
        }
    ]
}
_PROBLEM = {
    "model": Problem,
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_WHY = {
    400: "The multipart body is malformed.",
    401: "The API key is missing or wrong.",
    403: "The request comes from a page of another origin.",
    408: "The body did not arrive in time.",
    413: "The body is too large, or the recording too long.",
    415: "The recording has no known format.",
    421: "The request is for another host.",
    422: "The recording is damaged or empty, an option is invalid, or the model takes no voice.",
    429: "The client sends too many requests; see Retry-After.",
    503: "Too many requests wait, or the deadline has passed; see Retry-After.",
}


def describe_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the responses of a route that are errors, for OpenAPI."""
    return {status: {**_PROBLEM, "description": _WHY[status]} for status in statuses}


_READING = describe_errors(401, 421, 429)
_UPLOADING = describe_errors(*_WHY)


def make_router(engine: Engine) -> APIRouter:
    """Return the routes of the HTTP interface.

    Args:
        engine: Computes what they answer.
    """
    router = APIRouter()

    @router.post(
        "/v1/predict",
        response_model=Segment,
        responses=_UPLOADING,
        openapi_extra={**_UPLOAD, **_VOICE},
        summary="Predict the emotion of a recording",
        tags=["emotion"],
    )
    async def predict(request: Request, query: Annotated[RecordingQuery, Query()]) -> Response:
        """Predict the emotion of a recording as a whole, or abstain."""
        engine.short.refuse_if_full()
        with engine.hold() as held:
            upload = await read_upload(request, engine.limits, held)
            options = query.to_options(upload.voice)
            prediction = await engine.predict(upload.audio, options, wait_until_gone(request))
        return JSONResponse(Segment.from_prediction(prediction).model_dump())

    @router.post(
        "/v1/timeline",
        response_model=Timeline,
        responses=_UPLOADING,
        openapi_extra={**_UPLOAD, **_VOICE},
        summary="Follow the emotion through a recording",
        tags=["emotion"],
    )
    async def timeline(request: Request, query: Annotated[TimelineQuery, Query()]) -> Response:
        """Follow the emotion through a recording, in segments from its start to its end."""
        engine.long.refuse_if_full()
        with engine.hold() as held:
            upload = await read_upload(request, engine.limits, held)
            options = query.to_options(upload.voice)
            found = await engine.make_timeline(upload.audio, options, wait_until_gone(request))
        segments = [Segment.from_prediction(prediction) for prediction in found]
        return JSONResponse(Timeline(segments=segments).model_dump())

    @router.post(
        "/v1/enroll",
        response_model=EnrolledVoice,
        responses=_UPLOADING,
        openapi_extra=_UPLOAD,
        summary="Enrol a voice",
        tags=["emotion"],
    )
    async def enroll(request: Request) -> Response:
        """Return what a neutral sentence says about a voice; the client keeps it, not the service.

        Send it with later requests, and predictions allow for how this voice sounds when calm.
        """
        engine.short.refuse_if_full()
        with engine.hold() as held:
            upload = await read_upload(request, engine.limits, held)
            voice = await engine.enroll(upload.audio, Options(), wait_until_gone(request))
        return JSONResponse(EnrolledVoice(voice=b64encode(voice).decode()).model_dump())

    @router.websocket("/v1/stream")
    async def stream(websocket: WebSocket) -> None:
        """Follow live audio."""
        await serve_stream(websocket, engine)

    @router.get(
        "/v1/models",
        response_model=Models,
        responses=_READING,
        summary="Describe the model",
        tags=["about"],
    )
    async def models() -> Models:
        """Return the model's emotions and what it was measured at."""
        return Models(models=[Model.from_info(engine.recognizer.info)])

    @router.get("/healthz", response_model=Health, summary="Is the process alive?", tags=["about"])
    async def healthz() -> Health:
        """Answer as long as the process lives."""
        return Health(status="ok")

    @router.get(
        "/readyz",
        response_model=Health,
        responses=describe_errors(503),
        summary="Can the process take requests?",
        tags=["about"],
    )
    async def readyz() -> Health:
        """Answer 503 while the queue is full, or the process is about to end."""
        if engine.is_closing:
            raise ServiceError(
                "the server is shutting down; use another", code="service.shutting_down"
            )
        engine.short.refuse_if_full()
        return Health(status="ok")

    @router.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses=_READING,
        summary="Counters for Prometheus",
        tags=["about"],
    )
    async def metrics() -> PlainTextResponse:
        """Return the counters of all processes, in Prometheus' text format."""
        engine.update_gauges()
        return PlainTextResponse(engine.metrics.expose(), media_type="text/plain; version=0.0.4")

    return router


async def wait_until_gone(request: Request) -> None:
    """Wait until the client of a request, whose body has been read, closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
