"""The documentation's tables say what the code says."""

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.core import TyperGroup
from typer.main import get_command

import emovox
from emovox.cli.main import app
from emovox.corpora.protocols import EMOBOX_TEST_ACTORS, LUNA_TEST_ACTORS, PROTOCOLS
from emovox.corpora.registry import CORPORA
from emovox.recipes.recipe import Recipe, list_recipes
from emovox.recognition.model_file import find_default_model

DOCS = Path(__file__).parents[1] / "docs"


def read_sections(page: str) -> dict[str, str]:
    """Return the text below each ``##`` heading of a page, by heading."""
    text = (DOCS / page).read_text(encoding="utf-8")
    _, *parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def read_first_columns(text: str) -> list[tuple[str, str]]:
    """Return the first two cells of each table row that begins with code."""
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]*?) \|", text, flags=re.MULTILINE)
    return [(key, cell.strip("`")) for key, cell in rows]


def list_settings(model: type[BaseModel], prefix: str = "") -> dict[str, object]:
    """Return the default of every setting that holds a value, by dotted name."""
    settings: dict[str, object] = {}
    for name, field in model.model_fields.items():
        kinds = [get_args(kind)[0] for kind in get_args(field.annotation) if get_args(kind)]
        sections = [
            section
            for section in (field.annotation, *kinds)
            if isinstance(section, type) and issubclass(section, BaseModel)
        ]
        for section in sections:
            below = list_settings(section, f"{prefix}{name}.")
            # What every kind has is listed once, with the default of the first.
            settings |= {key: value for key, value in below.items() if key not in settings}
        if not sections:
            settings[prefix + name] = field.default
    return settings


def test_recipes_page_lists_every_setting_with_its_default() -> None:
    documented = dict(read_first_columns(read_sections("recipes.md")["All settings"]))
    settings = list_settings(Recipe)
    assert list(documented) == list(settings)
    for key, default in settings.items():
        if default is PydanticUndefined:
            assert documented[key] == "required"
        else:
            expected = list(default) if isinstance(default, tuple) else default
            assert tomllib.loads(f"value = {documented[key]}")["value"] == expected, key


def test_recipes_page_names_every_recipe() -> None:
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    assert re.findall(r"^- \*\*(\w+)\*\*:", text, flags=re.MULTILINE) == [
        "vanilla",
        "optimized",
        "encoder",
        "voices",
    ]
    assert list_recipes() == ["encoder", "optimized", "vanilla", "voices"]


def test_protocols_page_lists_every_protocol() -> None:
    rows = read_first_columns(read_sections("protocols.md")["The protocols"])
    tabled = [name for name, _ in rows if "," not in name]
    assert list(dict.fromkeys(tabled)) == list(PROTOCOLS)


@pytest.mark.parametrize(
    ("name", "folds"), [("emobox-6", EMOBOX_TEST_ACTORS), ("luna-5", LUNA_TEST_ACTORS)]
)
def test_protocols_page_gives_the_test_actors(
    name: str, folds: tuple[tuple[int, ...], ...]
) -> None:
    text = read_sections("protocols.md")["The protocols"]
    paragraph = text.split(f"**{name}.**")[1].split("\n\n")[0]
    found = [tuple(map(int, fold.split(","))) for fold in re.findall(r"\{([^}]+)\}", paragraph)]
    assert found == list(folds)


def test_corpora_page_lists_every_corpus() -> None:
    table = read_sections("corpora.md")["Known by name"]
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(CORPORA)
    for name, cells in rows:
        corpus = CORPORA[name]
        assert cells.split(" | ") == [
            corpus.title,
            corpus.language,
            f"{corpus.n_clips:,}",
            str(corpus.n_speakers),
            corpus.licence,
            f"`{corpus.folders[0]}`",
        ]


def list_options(command: Any) -> set[str]:
    """Return the long options of a command and of those below it, help left out."""
    names = {
        opt
        for parameter in command.params
        for opt in (*parameter.opts, *parameter.secondary_opts)
        if opt.startswith("--") and opt != "--help"
    }
    if isinstance(command, TyperGroup):
        names |= {o for below in command.commands.values() for o in list_options(below)}
    return names


def test_command_line_page_lists_every_command_and_option() -> None:
    sections = read_sections("command-line.md")
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    assert {heading.removeprefix("emovox ") for heading in sections} == set(group.commands)
    for name, command in group.commands.items():
        documented = {key for key, _ in read_first_columns(sections[f"emovox {name}"])}
        assert documented == list_options(command), name


def test_python_page_shows_every_public_name() -> None:
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    shown = re.findall(r"^::: \S+\.(\w+)$", text, flags=re.MULTILINE)
    assert sorted(shown) == sorted(emovox.__all__)


def test_shipped_model_has_a_finished_card() -> None:
    model = find_default_model()
    if not model.exists():
        pytest.skip("no model ships yet")
    card = model.with_name("MODEL_CARD.md").read_text(encoding="utf-8")
    assert re.findall(r"\{\{.*?\}\}", card) == []
