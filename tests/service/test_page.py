"""The page, and the model that it runs."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from tests.service.conftest import RunningService, Serve

from emovox.recognition.recognizer import Recognizer
from emovox.recognition.voice_activity import find_speech_model
from emovox.service.page import ABSENT
from emovox.webpage import page


def test_the_page_is_served_with_all_that_it_loads(service: RunningService) -> None:
    reply = service.ask("GET", "/")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = reply.body.decode()
    loaded = re.findall(r'(?:src|href)="\./([^"]+)"', text)
    assert loaded
    for name in loaded:
        found = service.ask("GET", f"/{name}")
        assert (found.status, found.body) == (200, (page.BUILT_PAGE / name).read_bytes())
        expected = {
            ".js": "text/javascript",
            ".css": "text/css",
            ".svg": "image/svg+xml",
            ".txt": "text/plain",
        }
        assert found.headers["content-type"].startswith(expected[Path(name).suffix])


def test_what_the_page_asks_for_itself_is_allowed_by_the_header(service: RunningService) -> None:
    """The browser applies both policies, so the header has to allow all of the page's own."""
    reply = service.ask("GET", "/")
    (own,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', reply.body.decode())

    def parse(policy: str) -> dict[str, set[str]]:
        rules = (rule.split() for rule in policy.split(";"))
        return {name: set(sources) for name, *sources in rules}

    header = parse(reply.headers["content-security-policy"])
    for name, sources in parse(own).items():
        assert sources <= header[name], name


def test_the_model_is_served_as_the_description_says(
    service: RunningService, recognizer: Recognizer
) -> None:
    description = service.ask("GET", "/model/model.json").json
    assert (description["service"], description["labels"]) == (True, ["quiet", "loud"])
    for name, path in [
        ("model.onnx", recognizer.model.path),
        ("silero_vad.onnx", find_speech_model()),
    ]:
        content = service.ask("GET", f"/model/{name}").body
        assert content == Path(path).read_bytes()
        assert description["files"][name]["sha256"] == hashlib.sha256(content).hexdigest()
    assert str(Path(recognizer.model.path).parent) not in json.dumps(description)


@pytest.mark.parametrize(
    "path", ["/..", "/../setup.py", "/model/", "/model/../../errors.py", "/assets", "/%2e%2e/a"]
)
def test_nothing_else_is_served(path: str, service: RunningService) -> None:
    assert service.ask("GET", path).status == 404


def test_an_installation_without_the_page_says_so(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(page, "BUILT_PAGE", tmp_path)
    with serve() as service:
        reply = service.ask("GET", "/")
        assert (reply.status, reply.body.decode()) == (200, ABSENT)
        assert service.ask("GET", "/model/model.onnx").status == 404
