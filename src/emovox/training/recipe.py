"""A recipe: everything that a training run depends on, as typed settings read from TOML."""

import difflib
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from emovox.corpora.registry import CORPORA, is_path
from emovox.errors import RecipeError

Positive = Annotated[int, Field(gt=0, strict=True)]
Weight = Annotated[float, Field(ge=0)]


class Settings(BaseModel):
    """Frozen settings that refuse unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(Settings):
    """Which recordings take part."""

    corpora: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        ("ravdess",), description="the first is split by the protocol; the others only train"
    )
    protocol: str = Field("reference", description="evaluation protocol; see the docs for names")
    actors: tuple[Positive, ...] = Field(
        (), description="only these actors of RAVDESS; empty: all of them"
    )

    @model_validator(mode="before")
    @classmethod
    def read_single_corpus(cls, value: Any) -> Any:
        """Take ``corpus = "ravdess"``, as recipes had it when there was one corpus."""
        if isinstance(value, dict) and isinstance(value.get("corpus"), str):
            values = {key: entry for key, entry in value.items() if key != "corpus"}
            if "corpora" in values and value["corpus"] != "ravdess":
                raise ValueError("has both corpus and corpora; leave out corpus")
            return {"corpora": [value["corpus"]], **values}
        return value

    @field_validator("corpora")
    @classmethod
    def check_corpora(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse a corpus that is neither known nor a path, or is named twice."""
        for name in names:
            if name not in CORPORA and not is_path(name):
                raise ValueError(
                    f"no corpus named {name!r}; known: {', '.join(CORPORA)}, or the path of a list "
                    "or folder, such as ./recordings"
                )
        if len(set(names)) < len(names):
            raise ValueError("names a corpus twice")
        return names


class FrontendSettings(Settings):
    """From waveform to image."""

    sample_rate_hz: Annotated[int, Field(ge=8_000, le=192_000)] = 48_000
    n_fft: Positive = Field(2_048, description="STFT length in samples, a power of two")
    hop_samples: Positive = 512
    scale: Literal["linear", "mel"] = "linear"
    n_mels: Positive = Field(128, description="used where scale is mel")
    amin: Annotated[float, Field(gt=0)] = Field(
        1e-5, description="smallest magnitude; 1e-5: -100 dB"
    )
    top_db: Annotated[float, Field(gt=0)] = Field(
        80.0, description="range kept below the loudest bin"
    )
    image_height: Positive = 64
    image_width: Positive = 64

    @model_validator(mode="after")
    def check_stft(self) -> "FrontendSettings":
        """Refuse an STFT that the front end cannot compute."""
        if self.n_fft < 64 or self.n_fft & (self.n_fft - 1):
            raise ValueError(f"n_fft is {self.n_fft}; expected a power of two from 64")
        if self.hop_samples > self.n_fft:
            raise ValueError(f"hop_samples {self.hop_samples} is over n_fft {self.n_fft}")
        return self


class NetworkSettings(Settings):
    """The convolutional network behind the front end."""

    conv_channels: tuple[Positive, ...] = Field((32, 64), description="one convolution block each")
    kernel_size: Positive = 3
    pool_size: Positive = 2
    dense_units: tuple[Positive, ...] = (128,)


class KernelPenalty(Settings):
    """Penalty weight for the kernels of each kind of layer; a single number means conv and dense.

    Keras' definition: weight times the sum of absolute values (L1) or of squares (L2).
    """

    conv: Weight = 0.0
    dense: Weight = 0.0
    output: Weight = 0.0

    @model_validator(mode="before")
    @classmethod
    def spread_number(cls, value: Any) -> Any:
        """Take ``0.01`` for ``{conv = 0.01, dense = 0.01}``."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"conv": float(value), "dense": float(value)}
        return value


class RegularizationSettings(Settings):
    """What keeps the network from learning its training clips by heart."""

    l1: KernelPenalty = KernelPenalty()
    l2: KernelPenalty = KernelPenalty()
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="after each dense layer")


class TrainingSettings(Settings):
    """Optimiser, schedule and length of the training."""

    optimizer: Literal["sgd", "rmsprop", "adam", "adamw"] = "rmsprop"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="of sgd")
    weight_decay: Weight = Field(0.0, description="of adamw; decoupled")
    batch_size: Positive = 32
    epochs: Positive = 50
    schedule: Literal["constant", "plateau", "cosine"] = "constant"
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.2
    plateau_patience: Positive = Field(3, description="epochs without a better validation loss")
    min_learning_rate: Weight = 1e-6
    early_stopping_patience: Annotated[int, Field(ge=0)] = Field(
        0, description="epochs without a better validation loss; 0: train to the end"
    )


class Recipe(Settings):
    """All settings of one training run.

    Example:
        >>> load_recipe("optimized", ["training.optimizer=rmsprop"]).training.optimizer
        'rmsprop'
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=80)]
    description: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: DataSettings = DataSettings()
    frontend: FrontendSettings = FrontendSettings()
    network: NetworkSettings = NetworkSettings()
    regularization: RegularizationSettings = RegularizationSettings()
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="after")
    def check_image(self) -> "Recipe":
        """Refuse a network that pools its image away."""
        for side in (self.frontend.image_height, self.frontend.image_width):
            size = side
            for _ in self.network.conv_channels:
                size = (size - self.network.kernel_size + 1) // self.network.pool_size
            if size < 1:
                raise ValueError(
                    f"{len(self.network.conv_channels)} convolution blocks leave nothing of an "
                    f"image side of {side}; use fewer blocks or a larger image"
                )
        return self

    def to_toml(self) -> str:
        """Return the recipe as TOML that :func:`load_recipe` reads back."""
        return tomli_w.dumps(self.model_dump(mode="json"))


def list_recipes() -> list[str]:
    """Return the names of the recipes that come with the package."""
    folder = resources.files("emovox") / "recipes"
    return sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".toml"))


def load_recipe(source: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe by name or from a file, and apply changes to it.

    Args:
        source: Name of a recipe of the package (``"vanilla"``) or path of a TOML file.
        changes: Each ``"section.key=value"``, the value in TOML notation; quotes around a plain
            word may be left out.

    Returns:
        The checked recipe.

    Raises:
        RecipeError: It does not exist, is no TOML, has an unknown key (the nearest known one is
            named) or a value out of range.
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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{source}: not valid TOML: {error}") from None
    for change in changes:
        apply_change(values, change)
    return build_recipe(values)


def apply_change(values: dict[str, Any], change: str) -> None:
    """Set one ``"section.key=value"`` in a recipe's raw values."""
    key, equals, text = change.partition("=")
    *sections, name = key.strip().split(".")
    if not equals or not name:
        raise RecipeError(f"cannot read {change!r}; expected section.key=value")
    for section in sections:
        below = values.setdefault(section, {})
        if isinstance(below, int | float):
            # A penalty given as one number becomes a table when one of its parts is set.
            below = values[section] = {"conv": below, "dense": below}
        if not isinstance(below, dict):
            raise RecipeError(f"cannot set {key!r}: {section!r} is a value, not a section")
        values = below
    values[name] = read_toml_value(text.strip())


def read_toml_value(text: str) -> Any:
    """Read a TOML value; a word that is none is taken as text."""
    try:
        values = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return values["value"] if len(values) == 1 else text


def build_recipe(values: dict[str, Any]) -> Recipe:
    """Check raw values and make the recipe.

    Raises:
        RecipeError: The first thing that is wrong, with its key and what to do.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(explain_error(error)) from None


def explain_error(error: ValidationError) -> str:
    """Put pydantic's first finding into one line, with the nearest known key for an unknown one."""
    detail = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        known = list_keys(Recipe)
        section, _, name = key.rpartition(".")
        siblings = [k for k in known if k.rpartition(".")[0] == section]
        # A slip within the section is likelier than a key put into the wrong one.
        for candidates in (siblings, known):
            names = {k.rpartition(".")[2]: k for k in candidates}
            near = difflib.get_close_matches(name, names, n=1)
            if near:
                return f"unknown recipe key {key!r}; did you mean {names[near[0]]!r}?"
        return f"unknown recipe key {key!r}; known here: {', '.join(siblings)}"
    message = detail["msg"].removeprefix("Value error, ")
    if isinstance(detail["input"], dict):
        return f"recipe{f' section {key!r}' if key else ''}: {message}"
    return f"recipe key {key!r}: {message}, found {detail['input']!r}"


def list_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the dotted names of all settings below ``model``."""
    keys = []
    for name, field in model.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += list_keys(field.annotation, f"{prefix}{name}.")
    return keys
