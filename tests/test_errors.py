"""Every error has a code of its own, which the documentation lists."""

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import emovox
from emovox.errors import AudioError, EmovoxError, ModelFileError

ROOT = Path(__file__).parents[1]


def parse_sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / "src" / "emovox").rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def find_texts(node: ast.AST) -> set[str]:
    values = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
    return {value for value in values if isinstance(value, str)}


def find_codes(tree: ast.Module) -> set[str]:
    """Return what a module gives as ``code=`` or assigns to the name ``code``."""
    codes: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "code":
            codes |= find_texts(node.value)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "code":
            codes |= find_texts(node.value)
    return codes


def test_the_errors_page_lists_every_code_of_the_source() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", page, flags=re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert sorted(listed) == sorted(set().union(*(find_codes(t) for _, t in parse_sources())))


def test_every_audio_error_has_a_code_of_its_own() -> None:
    bare = [
        f"{path.name}:{node.lineno}"
        for path, tree in parse_sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "AudioError"
        and "code" not in {keyword.arg for keyword in node.keywords}
    ]
    assert bare == []


def list_classes() -> list[type[EmovoxError]]:
    # Other modules' own, such as the service's, never reach a caller.
    found = [cls for cls in EmovoxError.__subclasses__() if cls.__module__ == "emovox.errors"]
    return [EmovoxError, *found]


def test_every_class_is_public_and_has_a_default_code() -> None:
    codes = {cls.__name__: cls("found this").code for cls in list_classes()}
    assert set(codes) <= set(emovox.__all__)
    assert len(set(codes.values())) == len(codes)
    assert codes["AudioError"] == "audio.invalid"


def test_an_error_can_be_told_without_its_source() -> None:
    error = AudioError("is empty; record it again", code="audio.empty", source="/home/me/a.wav")
    assert str(error) == "/home/me/a.wav: is empty; record it again"
    assert (error.detail, error.source) == ("is empty; record it again", "/home/me/a.wav")
    assert str(ModelFileError("is empty")) == "is empty"


@pytest.mark.parametrize("source", ["a.wav", None])
def test_an_error_keeps_its_code_between_processes(source: str | None) -> None:
    error = AudioError("is empty", code="audio.empty", source=source)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is AudioError
    assert (str(again), again.code, again.detail, again.source) == (
        str(error),
        "audio.empty",
        "is empty",
        source,
    )
