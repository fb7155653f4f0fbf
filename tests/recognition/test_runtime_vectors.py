"""What docs/runtime.md promises to programs in other languages: its golden vectors."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from emovox.recognition.recognizer import Recognizer

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import make_runtime_vectors  # noqa: E402

GOLDEN: dict[str, Any] = json.loads((ROOT / "tests" / "golden" / "runtime.json").read_text())
PAGE = (ROOT / "docs" / "runtime.md").read_text()


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    made = make_runtime_vectors.make_vectors(Recognizer.load())
    return dict(json.loads(json.dumps(made)))


def test_the_golden_file_has_the_rules_of_the_code(vectors: dict[str, Any]) -> None:
    assert vectors["rules"] == GOLDEN["rules"]
    assert f"This is **version {GOLDEN['rules']['version']}**" in PAGE


def test_the_page_names_every_rule_and_section() -> None:
    for section, numbers in GOLDEN["rules"].items():
        for name in numbers if isinstance(numbers, dict) else [section]:
            assert re.search(rf"`[^`\n]*\b{name}\b[^`]*`", PAGE) or name == "version", name
    for section in GOLDEN:
        assert f"| `{section}` |" in PAGE


@pytest.mark.parametrize("section", [name for name in GOLDEN if name != "rules"])
def test_a_section_agrees(vectors: dict[str, Any], section: str) -> None:
    tolerance = GOLDEN[section]["tolerance"]
    assert vectors[section]["tolerance"] == tolerance
    for made, golden in zip(vectors[section]["cases"], GOLDEN[section]["cases"], strict=True):
        assert made["name"] == golden["name"]
        assert made["input"] == golden["input"]
        compare(made["expected"], golden["expected"], tolerance)


def compare(made: Any, golden: Any, tolerance: float) -> None:
    """Compare numbers within a tolerance, and everything else exactly."""
    if isinstance(golden, dict):
        assert made.keys() == golden.keys()
        for key in golden:
            compare(made[key], golden[key], tolerance)
    elif isinstance(golden, list):
        assert len(made) == len(golden)
        for one, other in zip(made, golden, strict=True):
            compare(one, other, tolerance)
    elif isinstance(golden, float):
        assert made == pytest.approx(golden, abs=tolerance)
    else:
        assert made == golden
