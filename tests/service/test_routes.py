"""Requests and what they are answered with."""

import io
import json
import secrets
from base64 import b64decode, b64encode
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from prometheus_client.parser import text_string_to_metric_families
from tests.service.conftest import RunningService, Serve, make_wav, run_service

from emovox.recognition.recognizer import Recognizer
from emovox.recognition.voice import Voice
from emovox.service.guard import SECURITY_HEADERS
from emovox.service.settings import ServiceSettings


def make_multipart(**parts: bytes) -> tuple[bytes, str]:
    """Return a multipart body and its content type."""
    boundary = secrets.token_hex(8)
    body = b""
    for name, content in parts.items():
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'
        )
        body += head.encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def test_a_recording_is_predicted_raw_and_multipart(service: RunningService) -> None:
    reply = service.post("/v1/predict", make_wav(0.75))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.json["emotion"] == "loud"
    assert reply.json["confidence"] == pytest.approx(0.75, abs=1e-3)
    assert (reply.json["start_s"], reply.json["end_s"]) == (0, 1)
    assert "file" not in reply.json
    body, kind = make_multipart(file=make_wav(0.75))
    assert service.post("/v1/predict", body, Content_Type=kind).json == reply.json
    assert service.post("/v1/predict", make_wav(0.25)).json["emotion"] == "quiet"


def test_a_large_recording_stays_in_memory(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a temporary file was opened")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile", refuse)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    recording = make_wav(0.75, duration_s=250, channels=8)
    assert len(recording) > 30 * 2**20
    body, kind = make_multipart(file=recording)
    for reply in (
        service.post("/v1/predict", recording),
        service.post("/v1/predict", body, Content_Type=kind),
    ):
        assert (reply.status, reply.json["end_s"]) == (200, 250)


def test_a_timeline_has_no_gaps(service: RunningService) -> None:
    halves = np.concatenate([np.full(40_000, 0.75), np.full(40_000, 0.1)])
    samples = halves * np.where(np.arange(80_000) // 8 % 2, 1, -1)
    file = io.BytesIO()
    sf.write(file, samples, 8_000, format="FLAC")
    segments = service.post("/v1/timeline", file.getvalue()).json["segments"]
    assert [segment["emotion"] for segment in segments] == ["loud", "quiet"]
    assert segments[0]["start_s"] == 0
    assert segments[0]["end_s"] == segments[1]["start_s"] == pytest.approx(5, abs=1)
    assert segments[1]["end_s"] == 10


def test_options_are_those_of_the_recogniser(service: RunningService) -> None:
    samples = (0.75 * 32_767 * np.where(np.arange(8_000) // 8 % 2, 1, -1)).astype("<i2").tobytes()
    query = "raw_rate_hz=8000&raw_format=s16le&raw_channels=1&min_confidence=0.9"
    reply = service.post(f"/v1/predict?{query}", samples)
    assert (reply.json["emotion"], reply.json["abstained"]) == (None, "uncertain")
    stereo = make_wav(channels=2)
    assert service.post("/v1/predict?channel=right", stereo).json["channel"] == 2
    each = service.post("/v1/timeline?channel=each", stereo).json["segments"]
    assert [segment["channel"] for segment in each] == [1, 2]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/predict", b"", 422, "service.invalid"),
        ("/v1/predict", b"no audio at all", 415, "audio.unknown_format"),
        ("/v1/predict", make_wav()[:9_000], 422, "audio.truncated"),
        ("/v1/predict", make_wav(channels=9), 422, "audio.bad_channels"),
        ("/v1/predict", make_wav(duration_s=301), 413, "audio.too_long"),
        ("/v1/predict?channel=each", make_wav(), 422, "service.invalid"),
        ("/v1/predict?channel=2", make_wav(), 422, "audio.no_channel"),
        ("/v1/predict?channell=2", make_wav(), 422, "service.invalid"),
        ("/v1/predict?raw_channels=2", make_wav(), 422, "service.invalid"),
        ("/v1/predict?min_confidence=2", make_wav(), 422, "service.invalid"),
        ("/v1/predict?raw_rate_hz=8000", make_wav(), 422, "audio.raw_header"),
        ("/v2/predict", make_wav(), 404, "service.not_found"),
        ("/v1/models", make_wav(), 405, "service.method"),
    ],
)
def test_a_problem_has_its_status_and_code(
    path: str, body: bytes, status: int, code: str, service: RunningService
) -> None:
    reply = service.post(path, body)
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json")
    problem = reply.json
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, "about:blank")
    assert set(problem) == {"type", "title", "status", "code", "detail"}
    for server_side in ("/home", "site-packages", ".py", "emovox predict", "<bytes>"):
        assert server_side not in problem["detail"]
    # The next request is served as if nothing had happened.
    assert service.post("/v1/predict", make_wav()).json["emotion"] == "loud"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"--b\r\nnonsense", "multipart/form-data; boundary=b", 400),
        (b"no boundary at all", "multipart/form-data; boundary=b", 400),
        (make_wav(), "multipart/form-data", 400),
        (make_multipart(other=b"x")[0][:40], "multipart/form-data; boundary=zz", 400),
    ],
)
def test_a_malformed_multipart_body_is_refused(
    body: bytes, kind: str, status: int, service: RunningService
) -> None:
    reply = service.post("/v1/predict", body, Content_Type=kind)
    assert (reply.status, reply.json["code"]) == (status, "service.bad_request")


@pytest.mark.parametrize("parts", [{"other": b"x"}, {"file": b""}, {}])
def test_multipart_without_a_recording_is_refused(
    parts: dict[str, bytes], service: RunningService
) -> None:
    body, kind = make_multipart(**parts)
    reply = service.post("/v1/predict", body, Content_Type=kind)
    assert (reply.status, reply.json["code"]) == (422, "service.invalid")


def test_a_cut_multipart_body_is_refused(service: RunningService) -> None:
    body, kind = make_multipart(file=make_wav())
    reply = service.post("/v1/predict", body[:-10], Content_Type=kind)
    assert (reply.status, reply.json["code"]) == (400, "service.bad_request")


def test_the_model_is_described_without_paths(service: RunningService) -> None:
    (model,) = service.ask("GET", "/v1/models").json["models"]
    assert (model["name"], model["labels"]) == ("loudness", ["quiet", "loud"])
    assert model["scores"][0]["protocol"] == "reference v1"


def test_every_response_has_security_headers(service: RunningService) -> None:
    for method, path in [
        ("GET", "/"),
        ("GET", "/healthz"),
        ("GET", "/none"),
        ("POST", "/v1/predict"),
    ]:
        headers = service.ask(method, path).headers
        assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
        assert not [name for name in headers if name.startswith("access-control")]


def test_health_readiness_and_the_document(service: RunningService) -> None:
    assert service.ask("GET", "/healthz").json == {"status": "ok"}
    assert service.ask("GET", "/readyz").json == {"status": "ok"}
    document = service.ask("GET", "/openapi.json").json
    assert {"/v1/predict", "/v1/timeline", "/v1/enroll", "/v1/models"} <= set(document["paths"])
    predict = document["paths"]["/v1/predict"]["post"]
    assert "multipart/form-data" in predict["requestBody"]["content"]
    assert "application/problem+json" in predict["responses"]["503"]["content"]
    assert document["components"]["schemas"]["Segment"]["examples"]
    assert "https://" not in json.dumps(document["info"])


def test_metrics_are_in_prometheus_format(serve: Serve) -> None:
    with serve() as service:
        service.post("/v1/predict", make_wav())
        service.post("/v1/predict", b"no audio")
        text = service.ask("GET", "/metrics").body.decode()
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    route = ("route", "/v1/predict")
    assert samples["emovox_requests_total", route, ("status", "200")] == 1
    assert samples["emovox_requests_total", route, ("status", "415")] == 1
    assert samples["emovox_request_seconds_count", route] == 2
    assert samples["emovox_request_seconds_bucket", ("le", "+Inf"), route] == 2
    assert samples["emovox_audio_seconds_total",] == 1
    assert samples["emovox_pending_bytes",] == 0


def test_a_voice_is_enrolled_and_used(voice_model: Path) -> None:
    """The voice is taken off: a level that is usual for it is neither loud nor quiet."""
    recognizer = Recognizer.load(voice_model, vad=False)
    recording, other = make_wav(0.4, duration_s=4), make_wav(0.45)
    with run_service(recognizer, ServiceSettings(port=0)) as service:
        assert service.ask("GET", "/v1/models").json["models"][0]["takes_voice"]
        voice = service.post("/v1/enroll", recording).json["voice"]
        expected = recognizer.predict(other, voice=Voice.from_bytes(b64decode(voice)))
        body, kind = make_multipart(file=other, voice=voice.encode())
        for reply in (
            service.post("/v1/predict", other, X_Emovox_Voice=voice),
            service.post("/v1/predict", body, Content_Type=kind),
        ):
            assert reply.json["confidence"] == expected.confidence
        assert service.post("/v1/predict", other).json["confidence"] != expected.confidence
        timeline = service.post("/v1/timeline", other, X_Emovox_Voice=voice).json["segments"]
        assert timeline[0]["confidence"] == pytest.approx(expected.confidence, abs=1e-3)
        for wrong in ("!", b64encode(b"{}").decode(), voice[:100] + voice[104:], "A" * 60_000):
            reply = service.post("/v1/predict", other, X_Emovox_Voice=wrong)
            assert reply.status == 422
        reply = service.post("/v1/enroll", make_wav(duration_s=0.5))
        assert (reply.status, reply.json["code"]) == (422, "voice.too_little_speech")


def test_a_model_without_voices_says_so(service: RunningService) -> None:
    reply = service.post("/v1/enroll", make_wav(duration_s=4))
    assert (reply.status, reply.json["code"]) == (422, "model.no_reference")
    assert reply.json["detail"] == "the server's model takes no voice; leave it out"
