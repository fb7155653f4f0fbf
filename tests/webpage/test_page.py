"""The files of the page, and the description of the model."""

import hashlib
import json
from pathlib import Path

import pytest

from emovox.errors import EmovoxError
from emovox.recognition.description import describe_model
from emovox.recognition.model_file import find_default_model, open_model
from emovox.recognition.rules import describe_rules
from emovox.webpage import page
from emovox.webpage.page import list_page_files, write_page

MAX_BYTES = 20_000_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the page and the bundled model."""
    folder = tmp_path_factory.mktemp("site")
    write_page(folder, open_model(find_default_model()))
    return folder


def test_a_folder_has_the_page_the_model_and_what_describes_it(site: Path) -> None:
    names = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert {"index.html", "service-worker.js", "icon.svg", "licences.txt"} < names
    assert {"model/model.onnx", "model/model.json", "model/silero_vad.onnx"} < names
    assert sum((site / name).stat().st_size for name in names) < MAX_BYTES


def test_the_description_has_metadata_rules_and_hashes(site: Path) -> None:
    description = json.loads((site / "model" / "model.json").read_text())
    info = open_model(find_default_model()).info
    assert description["labels"] == list(info.labels)
    assert description["min_confidence"] == info.min_confidence
    assert description["sample_rate_hz"] == 16_000
    assert description["rules"] == describe_rules()
    assert description["service"] is False
    for name, entry in description["files"].items():
        content = (site / "model" / name).read_bytes()
        assert entry == {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }


def test_a_model_of_its_own_is_described(loudness_model: Path) -> None:
    description = describe_model(open_model(loudness_model))
    assert (description["name"], description["labels"]) == ("loudness", ["quiet", "loud"])
    assert (description["sample_rate_hz"], description["reference"]) == (8_000, None)


def test_a_server_that_predicts_says_so() -> None:
    files = list_page_files(open_model(find_default_model()), service=True)
    content = files["model/model.json"]
    assert isinstance(content, bytes)
    assert json.loads(content)["service"] is True


def test_the_page_loads_nothing_from_elsewhere(site: Path) -> None:
    html = (site / "index.html").read_text()
    assert "default-src 'none'" in html
    assert "://" not in html
    css = "".join(path.read_text() for path in site.rglob("*.css"))
    assert "://" not in css
    assert "url(" not in css


def test_an_installation_without_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(page, "BUILT_PAGE", tmp_path)
    with pytest.raises(EmovoxError, match="the page is not part of this installation"):
        list_page_files(open_model(find_default_model()))
