"""Who gets in: hosts, origins, keys, rates."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.service.conftest import RunningService, Serve, make_wav
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from emovox.errors import EmovoxError
from emovox.service.guard import RateLimit
from emovox.service.keys import find_key, make_key, parse_keys, read_keys
from emovox.service.problems import ServiceError
from emovox.service.settings import Limits, ServiceSettings


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil", "", "[::2]"])
def test_a_name_that_resolves_to_loopback_is_refused(host: str, service: RunningService) -> None:
    for method, path in [("GET", "/"), ("POST", "/v1/predict"), ("GET", "/healthz")]:
        reply = service.ask(method, path, headers={"Host": host})
        assert (reply.status, reply.json["code"]) == (421, "service.wrong_host")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:8000", "[::1]"]
)
def test_names_of_loopback_are_served(host: str, service: RunningService) -> None:
    assert service.ask("GET", "/healthz", headers={"Host": host}).status == 200


def test_further_names_are_served_if_allowed(serve: Serve) -> None:
    with serve(hosts=("voice.example",)) as service:
        assert service.ask("GET", "/healthz", headers={"Host": "voice.example"}).status == 200
        assert service.ask("GET", "/healthz", headers={"Host": "other.example"}).status == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "http://localhost@evil.example"},
        {"Origin": "http://[::1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_elsewhere_cannot_post_or_stream(
    headers: dict[str, str], service: RunningService
) -> None:
    reply = service.post("/v1/predict", make_wav(), **headers)
    assert (reply.status, reply.json["code"]) == (403, "service.forbidden_origin")
    with pytest.raises(InvalidStatus) as refused:
        connect(service.websocket, additional_headers=headers)
    assert refused.value.response.status_code == 403
    # Not for want of a header: without these, both are served.
    assert service.post("/v1/predict", make_wav()).status == 200


def test_the_own_page_may_post(service: RunningService) -> None:
    own = {"Origin": f"http://127.0.0.1:{service.port}", "Sec-Fetch-Site": "same-origin"}
    assert service.post("/v1/predict", make_wav(), **own).status == 200
    # A proxy that ends TLS passes the name on.
    with_proxy = {"Origin": "https://localhost", "Host": "localhost"}
    assert service.post("/v1/predict", make_wav(), **with_proxy).status == 200


def test_named_origins_may_call_and_are_the_only_ones(serve: Serve) -> None:
    with serve(origins=("https://app.example",)) as service:
        reply = service.post("/v1/predict", make_wav(), Origin="https://app.example")
        assert reply.headers["access-control-allow-origin"] == "https://app.example"
        assert service.post("/v1/predict", make_wav(), Origin="https://other.example").status == 403
        asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
        assert service.ask("OPTIONS", "/v1/predict", headers=asked).status == 200
        asked["Origin"] = "https://other.example"
        reply = service.ask("OPTIONS", "/v1/predict", headers=asked)
        assert "access-control-allow-origin" not in reply.headers


def test_keys_are_needed_for_everything_but_the_page_and_health(serve: Serve) -> None:
    key, stored = make_key("ann")
    with serve(keys=(stored,)) as service:
        for path in ("/v1/models", "/metrics", "/v1/none"):
            reply = service.ask("GET", path)
            assert (reply.status, reply.json["code"]) == (401, "service.unauthorized")
            assert reply.headers["www-authenticate"] == "Bearer"
        for path in ("/", "/healthz", "/readyz", "/openapi.json"):
            assert service.ask("GET", path).status == 200
        for wrong in (key[:-1], key + "x", stored.digest, "", "ann"):
            assert service.post("/v1/predict", b"", Authorization=f"Bearer {wrong}").status == 401
        for header in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
            assert service.post("/v1/predict", make_wav(), **header).status == 200
        document = service.ask("GET", "/openapi.json").json
        assert document["paths"]["/v1/predict"]["post"]["security"] == [{"key": []}]
        assert "security" not in document["paths"]["/healthz"]["get"]


def test_a_refused_request_does_not_wait_for_its_body(serve: Serve) -> None:
    with serve(keys=(make_key("ann")[1],)) as service:
        reply = service.post("/v1/predict", bytes(2**22))
        assert (reply.status, reply.headers["connection"]) == (401, "close")


def test_only_hashes_are_stored() -> None:
    key, stored = make_key("ann@example.org")
    assert key not in str(stored)
    (read,) = parse_keys(f"# keys\n\n {stored}  # since May\n", source="keys")
    assert read == stored
    assert find_key([make_key("bob")[1], read], key) == stored
    assert find_key([make_key("bob")[1]], key) is None
    assert len({make_key("ann")[0] for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("emovox_secret", "entry 1 is not a key's hash"),
        (f"ann:sha256:{'0' * 63}", "entry 1 is not"),
        (f"{make_key('ann')[1]},{make_key('ann')[1]}", "a name occurs twice"),
    ],
)
def test_a_malformed_key_is_refused_and_not_shown(text: str, reason: str) -> None:
    with pytest.raises(EmovoxError, match=reason) as caught:
        parse_keys(text, source="keys")
    assert "emovox_secret" not in str(caught.value)


def test_a_file_of_keys_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(EmovoxError, match="cannot be read"):
        read_keys(tmp_path / "keys")
    (tmp_path / "keys").write_text("# none\n")
    with pytest.raises(EmovoxError, match="has no keys"):
        read_keys(tmp_path / "keys")


def test_the_rate_of_each_client_is_limited() -> None:
    rates = RateLimit(2)
    for client in ("a", "a", "b"):
        rates.take(client, 0.0)
    with pytest.raises(ServiceError, match="more than 2 requests") as caught:
        rates.take("a", 0.0)
    assert caught.value.headers == {"retry-after": "30"}
    rates.take("b", 0.0)
    rates.take("a", 30.0)
    with pytest.raises(ServiceError):
        rates.take("a", 30.0)


def test_the_rate_limit_forgets_old_clients() -> None:
    rates = RateLimit(1)
    for number in range(rates.MAX_CLIENTS):
        rates.take(f"client {number}", 0.0)
    rates.take("late", 61.0)
    assert list(rates._buckets) == ["late"]


def test_a_client_beyond_its_rate_has_to_wait(serve: Serve) -> None:
    with serve({"requests_per_minute": 2}) as service:
        assert [service.ask("GET", "/v1/models").status for _ in range(3)] == [200, 200, 429]
        assert 1 <= int(service.ask("GET", "/v1/models").headers["retry-after"]) <= 30
        assert service.ask("GET", "/healthz").status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104
def test_an_open_address_needs_keys(host: str) -> None:
    with pytest.raises(EmovoxError, match="expected API keys") as caught:
        ServiceSettings(host=host)
    assert caught.value.code == "service.unprotected"
    for protected in ({"keys": (make_key("ann")[1],)}, {"insecure": True}):
        assert not ServiceSettings(host=host, **protected).is_loopback


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"host": "example.org"}, "expected an IP address"),
        ({"port": 70_000}, "expected 0 to 65535"),
        ({"workers": 0}, "expected at least 1"),
        ({"origins": ("*",)}, "expected a scheme"),
        ({"origins": ("https://a.example/",)}, "expected a scheme"),
    ],
)
def test_settings_are_checked(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(EmovoxError, match=reason):
        replace(ServiceSettings(), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"waiting": 0}, {"deadline_s": -1.0}, {"channels": 33}])
def test_limits_are_checked(changes: dict[str, int]) -> None:
    with pytest.raises(EmovoxError, match="the limit"):
        Limits(**changes)
