"""Responses of the service, as its OpenAPI document describes them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from emovox.recognition.model_info import ModelInfo
from emovox.recognition.results import Prediction

_ANGRY: Any = {
    "start_s": 0.0,
    "end_s": 3.17,
    "emotion": "angry",
    "confidence": 0.93,
    "scores": {"neutral": 0.02, "angry": 0.93, "sad": 0.05},
    "abstained": None,
    "channel": None,
    "notes": [],
}


class Segment(BaseModel):
    """The emotion of a recording, or of a part of it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ANGRY]})

    start_s: float = Field(description="Start in seconds.")
    end_s: float = Field(description="End in seconds.")
    emotion: str | None = Field(description="The most probable emotion; null if abstained.")
    confidence: float | None = Field(description="Its probability; null without speech.")
    scores: dict[str, float] | None = Field(
        description="Probability of each emotion; null without speech."
    )
    abstained: str | None = Field(
        description="Why there is no emotion: 'no speech', 'too short' or 'uncertain'."
    )
    channel: int | None = Field(description="Number of the requested channel; null for the mix.")
    notes: list[str] = Field(description="What was chosen where the recording left a choice.")

    @classmethod
    def from_prediction(cls, prediction: Prediction) -> "Segment":
        """Return a prediction as the service answers it."""
        return cls.model_validate(list_values(prediction))


class Timeline(BaseModel):
    """The emotion through a recording, in segments without gaps."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"segments": [_ANGRY]}]})

    segments: list[Segment]


class EnrolledVoice(BaseModel):
    """A voice, to be sent with later requests; the service keeps nothing of it."""

    voice: str = Field(description="The voice, Base64: for X-Emovox-Voice or the part 'voice'.")


class Model(BaseModel):
    """The model that the service runs."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    labels: list[str] = Field(description="Its emotions, in the order of scores.")
    sample_rate_hz: int = Field(description="Sampling rate of its input, in Hz.")
    min_confidence: float = Field(description="Confidence below which it is uncertain.")
    takes_voice: bool = Field(description="Whether /v1/enroll can be used.")
    licence: str
    training_corpora: list[str]
    scores: list[dict[str, Any]] = Field(description="What it was measured at, and how.")

    @classmethod
    def from_info(cls, info: ModelInfo) -> "Model":
        """Return what a model file says about itself."""
        return cls(
            name=info.name,
            labels=list(info.labels),
            sample_rate_hz=info.sample_rate_hz,
            min_confidence=info.min_confidence,
            takes_voice=info.reference is not None,
            licence=info.licence,
            training_corpora=list(info.training_corpora),
            scores=[
                {name: getattr(score, name) for name in score.__dataclass_fields__}
                for score in info.scores
            ],
        )


class Models(BaseModel):
    """All models of the service."""

    models: list[Model]


class Health(BaseModel):
    """State of the process that was asked."""

    status: str = Field(examples=["ok"])


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unsupported Media Type",
                    "status": 415,
                    "code": "audio.unknown_format",
                    "detail": "the recording is not an audio format that emovox supports",
                }
            ]
        }
    )

    type: str
    title: str = Field(description="The HTTP status in words.")
    status: int
    code: str = Field(description="Stable error code.")
    detail: str = Field(description="What was found, what was expected, what to do.")


def list_values(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as JSON-serialisable types; the name of the file is the client's."""
    values = prediction.to_dict()
    del values["file"]
    values["notes"] = list(values["notes"])
    return values
