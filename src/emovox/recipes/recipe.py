"""A recipe: all settings of a training run, typed and read from TOML."""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import tomli_w
from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError, model_validator

from emovox.errors import RecipeError
from emovox.recipes.search_space import TuneSettings
from emovox.recipes.settings import (
    AugmentationSettings,
    DataSettings,
    EncoderSettings,
    FrontendSettings,
    HeadSettings,
    HuggingFaceSettings,
    KernelPenalty,
    NetworkSettings,
    RegularizationSettings,
    Settings,
    TrainingSettings,
)


def read_kind(default: str) -> Discriminator:
    """Discriminate the variants of a section by its optional ``kind``."""

    def find_kind(value: Any) -> Any:
        if isinstance(value, dict):
            return value.get("kind", default)
        return getattr(value, "kind", default)

    return Discriminator(find_kind)


AnyFrontend = Annotated[
    Annotated[FrontendSettings, Tag("image")]
    | Annotated[EncoderSettings, Tag("encoder")]
    | Annotated[HuggingFaceSettings, Tag("hf")],
    read_kind("image"),
]
AnyNetwork = Annotated[
    Annotated[NetworkSettings, Tag("cnn")] | Annotated[HeadSettings, Tag("head")],
    read_kind("cnn"),
]


KINDS = ("image", "encoder", "hf", "cnn", "head")
HF_PREFIX = "hf:"
MAX_SHOWN = 200
"""Most characters of a refused value in an error."""
NOT_TUNED = ("name", "description", "seed", "data", "tune")
"""Settings that no search may change: a different seed or data set is not a better recipe."""


class Recipe(Settings):
    """All settings of one training run.

    Examples:
        >>> load_recipe("optimized", ["training.optimizer=rmsprop"]).training.optimizer
        'rmsprop'
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=80)]
    description: Annotated[str, Field(max_length=10_000)] = ""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: DataSettings = DataSettings()
    frontend: AnyFrontend = FrontendSettings()
    network: AnyNetwork = NetworkSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    regularization: RegularizationSettings = RegularizationSettings()
    training: TrainingSettings = TrainingSettings()
    tune: TuneSettings = TuneSettings()

    @model_validator(mode="before")
    @classmethod
    def read_short_frontend(cls, values: Any) -> Any:
        """Accept ``frontend = "hf:NAME"``; the default network after an encoder is a head."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        frontend = expand_frontend(values.get("frontend", {}))
        if isinstance(frontend, str):
            raise ValueError(
                f"frontend {frontend!r} is not a section; an encoder from Hugging Face is "
                f"{HF_PREFIX + frontend!r}"
            )
        if "frontend" in values:
            values["frontend"] = frontend
        if isinstance(frontend, dict) and frontend.get("kind", "image") != "image":
            values.setdefault("network", {"kind": "head"})
        return values

    @model_validator(mode="after")
    def check_parts(self) -> "Recipe":
        """Refuse incompatible front end, network and augmentation settings."""
        if isinstance(self.frontend, FrontendSettings) != isinstance(self.network, NetworkSettings):
            raise ValueError(
                f"frontend kind {self.frontend.kind!r} does not fit network kind "
                f"{self.network.kind!r}; image goes with cnn, encoder and hf with head"
            )
        if isinstance(self.frontend, FrontendSettings) and isinstance(
            self.network, NetworkSettings
        ):
            if self.augmentation != AugmentationSettings():
                raise ValueError("augmentation needs frontend kind 'encoder' or 'hf'")
            self.check_image(self.frontend, self.network)
        elif (self.regularization.l1, self.regularization.l2) != (KernelPenalty(), KernelPenalty()):
            raise ValueError(
                "l1 and l2 are for network kind 'cnn'; use training.weight_decay with adamw"
            )
        return self

    @model_validator(mode="after")
    def check_space(self) -> "Recipe":
        """Refuse a search space with unknown keys or out-of-range values."""
        keys = [k for k in list_keys(Recipe) if k.partition(".")[0] not in NOT_TUNED]
        for key, axis in self.tune.space.items():
            if key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                hint = f"did you mean {near[0]!r}?" if near else "no search changes it"
                raise ValueError(f"tune.space has {key!r}, which is not a tunable setting; {hint}")
            for value in axis.list_extremes():
                try:
                    change_settings(self, {key: value})
                except RecipeError as error:
                    raise ValueError(f"tune.space reaches {show_value(value)}: {error}") from None
        return self

    @staticmethod
    def check_image(frontend: FrontendSettings, network: NetworkSettings) -> None:
        """Refuse a network whose pooling reduces the image to nothing."""
        for side in (frontend.image_height, frontend.image_width):
            size = side
            for _ in network.conv_channels:
                size = (size - network.kernel_size + 1) // network.pool_size
            if size < 1:
                raise ValueError(
                    f"{len(network.conv_channels)} convolution blocks leave nothing of an "
                    f"image side of {side}; use fewer blocks or a larger image"
                )

    def to_toml(self) -> str:
        """Return the recipe as TOML that ``load_recipe`` can read."""
        # TOML has no null; omitted keys are read back as None.
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def list_recipes() -> list[str]:
    """Return the names of the bundled recipes."""
    folder = resources.files("emovox") / "recipes"
    return sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".toml"))


def load_recipe(source: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe by name or from a file, and apply changes to it.

    Args:
        source: Name of a bundled recipe (``"vanilla"``) or path of a TOML file.
        changes: Changes such as ``"section.key=value"``, the value in TOML notation; a plain word
            needs no quotes.

    Returns:
        The validated recipe.

    Raises:
        RecipeError: The recipe does not exist, is not valid TOML, has an unknown key (the message
            suggests the nearest known one) or has a value out of range.
    """
    path = Path(source)
    if path.suffix != ".toml":
        if str(source) not in list_recipes():
            raise RecipeError(
                f"no recipe named {str(source)!r}; known: {', '.join(list_recipes())}, "
                "or the path of a .toml file"
            )
        path = Path(str(resources.files("emovox") / "recipes" / f"{source}.toml"))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"{path}: cannot be read ({error.strerror}); expected a TOML file"
        ) from None
    except ValueError as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise RecipeError(f"{source}: not valid TOML: {error}") from None
    except RecursionError:
        raise RecipeError(f"{source}: nested too deeply; expected sections of settings") from None
    for change in changes:
        apply_change(values, change)
    return build_recipe(values)


def format_change(key: str, value: Any) -> str:
    """Return a change that sets a key to a text or a list of texts, whatever their characters.

    Examples:
        >>> format_change("data.corpora", ["./mine.csv", "nemo"])
        'data.corpora=["./mine.csv", "nemo"]'
    """
    # JSON's escapes of surrogate pairs, which it uses for emoji, are not valid TOML.
    return f"{key}={json.dumps(value, ensure_ascii=False)}"


def apply_change(values: dict[str, Any], change: str) -> None:
    """Set one ``"section.key=value"`` in a recipe's raw values."""
    key, equals, text = change.partition("=")
    *sections, name = key.strip().split(".")
    if not equals or not name:
        raise RecipeError(f"cannot read {change!r}; expected section.key=value")
    for section in sections:
        below = values[section] = expand_frontend(values.get(section, {}))
        if isinstance(below, int | float):
            # A penalty given as a single number becomes a table when one of its parts is set.
            below = values[section] = {"conv": below, "dense": below}
        if not isinstance(below, dict):
            raise RecipeError(f"cannot set {key!r}: {section!r} is a value, not a section")
        values = below
    values[name] = read_toml_value(text.strip())


def expand_frontend(value: Any) -> Any:
    """Expand the short form ``"hf:NAME"`` into a section; return any other value unchanged."""
    if isinstance(value, str) and value.startswith(HF_PREFIX):
        return {"kind": "hf", "name": value.removeprefix(HF_PREFIX)}
    return value


def read_toml_value(text: str) -> Any:
    """Read a TOML value; anything that is not valid TOML becomes a string."""
    try:
        values = tomllib.loads(f"value = {text}")
    except ValueError:
        return text
    except RecursionError:
        raise RecipeError(f"{text[:40]}...: nested too deeply; expected a setting") from None
    return values["value"] if len(values) == 1 else text


def build_recipe(values: dict[str, Any]) -> Recipe:
    """Validate raw values and build the recipe.

    Raises:
        RecipeError: A value is invalid; the message has its key and the remedy.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(explain_error(error)) from None
    except (RecursionError, OverflowError):
        raise RecipeError(
            "the recipe is nested too deeply, or has a number too large to compute with; expected "
            "sections of settings within their ranges"
        ) from None


def change_settings(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Return a recipe with some settings changed.

    Args:
        recipe: The original recipe; its search space is dropped.
        settings: New values by dotted name.

    Returns:
        The validated recipe.

    Raises:
        RecipeError: A value is invalid.

    Examples:
        >>> change_settings(load_recipe("vanilla"), {"training.epochs": 3}).training.epochs
        3
    """
    values = recipe.model_dump(mode="json", exclude={"tune"})
    for key, value in settings.items():
        *sections, name = key.split(".")
        section = values
        for part in sections:
            section = section[part]
        section[name] = value
    return build_recipe(values)


def explain_error(error: ValidationError) -> str:
    """Format pydantic's first error in one line, suggesting a known key for an unknown one."""
    detail = error.errors(include_url=False)[0]
    # A kind's tag comes second, as in ("frontend", "image", "n_fft"), and is not part of the key.
    parts = [p for at, p in enumerate(detail["loc"]) if at != 1 or p not in KINDS]
    key = ".".join(str(part) for part in parts)[:MAX_SHOWN]
    if detail["type"] == "extra_forbidden":
        known = list_keys(Recipe)
        section, _, name = key.rpartition(".")
        if key in known:
            return f"recipe key {key!r} is for another kind of {section}; set {section}.kind"
        siblings = [k for k in known if k.rpartition(".")[0] == section]
        # A typo within the section is likelier than a key in the wrong section.
        for candidates in (siblings, known):
            names = {k.rpartition(".")[2]: k for k in candidates}
            near = difflib.get_close_matches(name, names, n=1)
            if near:
                return f"unknown recipe key {key!r}; did you mean {names[near[0]]!r}?"
        return f"unknown recipe key {key!r}; known here: {', '.join(siblings)}"
    if detail["type"] == "union_tag_invalid":
        expected = " or ".join(detail["ctx"]["expected_tags"].rsplit(", ", 1))
        return f"recipe key '{key}.kind': expected {expected}, found {detail['input']['kind']!r}"
    message = detail["msg"].removeprefix("Value error, ")
    if isinstance(detail["input"], dict):
        return f"recipe{f' section {key!r}' if key else ''}: {message}"
    return f"recipe key {key!r}: {message}, found {show_value(detail['input'])}"


def show_value(value: Any) -> str:
    """Return a value as in Python, unless it is too long to show."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or deep nesting
        return "one too large to show"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def list_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the dotted names of all settings below ``model``, for every kind of section."""
    keys: dict[str, None] = {}
    for name, field in model.model_fields.items():
        keys[prefix + name] = None
        if get_origin(field.annotation) is dict:
            continue
        for section in (field.annotation, *get_args(field.annotation)):
            section = get_args(section)[0] if get_args(section) else section
            if isinstance(section, type) and issubclass(section, BaseModel):
                keys |= dict.fromkeys(list_keys(section, f"{prefix}{name}."))
    return list(keys)
