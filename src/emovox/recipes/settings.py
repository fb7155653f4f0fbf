"""The sections of a recipe: typed settings with their defaults and limits."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from emovox.corpora.registry import CORPORA, is_path
from emovox.labels import map_label

# Upper bounds refuse what no machine can train, and what is a slip of the keyboard.
Positive = Annotated[int, Field(gt=0, le=100_000, strict=True)]
Units = Annotated[int, Field(gt=0, le=16_384, strict=True)]
Kernel = Annotated[int, Field(gt=0, le=64, strict=True)]
Pixels = Annotated[int, Field(gt=0, le=1_024, strict=True)]
Weight = Annotated[float, Field(ge=0, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """Frozen settings that refuse unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(Settings):
    """Recordings to train and test on."""

    corpora: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)] = Field(
        ("ravdess",), description="the protocol splits the first; the others are for training only"
    )
    protocol: str = Field("reference", description="evaluation protocol; see the docs for names")
    actors: Annotated[tuple[Positive, ...], Field(max_length=1_000)] = Field(
        (), description="only these actors of RAVDESS; empty: all of them"
    )
    labels: Annotated[tuple[str, ...], Field(max_length=1_000)] = Field(
        (), description="only clips with these labels; empty: all labels of the corpora"
    )
    calm_is_neutral: bool = Field(
        False, description="count calm, which only RAVDESS has, as neutral"
    )
    without_speakers: Annotated[tuple[str, ...], Field(max_length=10_000)] = Field(
        (), description="speakers to leave out, such as cremad-1004; see their clips' names"
    )
    balance: Literal["none", "sqrt"] = Field(
        "none",
        description="sqrt: clips of a corpus weigh one over the square root of its number of clips",
    )

    @model_validator(mode="before")
    @classmethod
    def read_single_corpus(cls, value: Any) -> Any:
        """Accept ``corpus = "ravdess"`` from recipes written before ``corpora`` existed."""
        if isinstance(value, dict) and isinstance(value.get("corpus"), str):
            values = {key: entry for key, entry in value.items() if key != "corpus"}
            if "corpora" in values and value["corpus"] != "ravdess":
                raise ValueError("has both corpus and corpora; leave out corpus")
            return {"corpora": [value["corpus"]], **values}
        return value

    @field_validator("corpora")
    @classmethod
    def check_corpora(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse a corpus that is neither a known name nor a path, and duplicates."""
        for name in names:
            if name not in CORPORA and not is_path(name):
                raise ValueError(
                    f"no corpus named {name!r}; known: {', '.join(CORPORA)}, or the path of a list "
                    "or folder, such as ./recordings"
                )
        if len(set(names)) < len(names):
            raise ValueError("names a corpus twice")
        return names

    @field_validator("labels")
    @classmethod
    def check_labels(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        """Map labels from any synonym; refuse a single label and duplicates."""
        labels = tuple(map_label(word) for word in words)
        if len(labels) == 1 or len(set(labels)) < len(labels) or "" in labels:
            raise ValueError("expected two or more different labels, or none for all")
        return labels


class FrontendSettings(Settings):
    """Front end from waveform to a spectrogram of fixed size."""

    kind: Literal["image"] = "image"
    sample_rate_hz: Annotated[int, Field(ge=8_000, le=192_000)] = 48_000
    n_fft: Positive = Field(2_048, description="STFT length in samples, a power of two")
    hop_samples: Positive = 512
    scale: Literal["linear", "mel"] = "linear"
    n_mels: Pixels = Field(128, description="used where scale is mel")
    amin: Annotated[float, Field(gt=0, le=1)] = Field(
        1e-5, description="smallest magnitude; 1e-5: -100 dB"
    )
    top_db: Annotated[float, Field(gt=0, le=1_000)] = Field(
        80.0, description="dynamic range kept below the loudest bin"
    )
    image_height: Pixels = 64
    image_width: Pixels = 64

    @model_validator(mode="after")
    def check_stft(self) -> "FrontendSettings":
        """Refuse an STFT that the front end cannot compute."""
        if self.n_fft < 64 or self.n_fft & (self.n_fft - 1):
            raise ValueError(f"n_fft is {self.n_fft}; expected a power of two from 64 to 65,536")
        if self.hop_samples > self.n_fft:
            raise ValueError(f"hop_samples {self.hop_samples} exceeds n_fft {self.n_fft}")
        return self


class EncoderSettings(Settings):
    """Front end from waveform to an embedding: a bundled speech encoder."""

    kind: Literal["encoder"] = "encoder"
    model: Literal["tiny.en", "base"] = Field(
        "tiny.en", description="the lower blocks of this Whisper; base knows many languages"
    )

    @property
    def sample_rate_hz(self) -> int:
        """The encoder's sampling rate."""
        return 16_000


class HuggingFaceSettings(Settings):
    """Front end from waveform to an embedding: a speech encoder from Hugging Face."""

    kind: Literal["hf"] = "hf"
    name: Annotated[str, Field(min_length=1)] = Field(
        description="name on the Hugging Face hub, or path of a folder"
    )
    revision: str = Field("", description="branch, tag or commit on the hub; empty: main")
    layers: Annotated[tuple[Positive, ...], Field(max_length=1_000)] = Field(
        (), description="blocks whose outputs are used, from 1; empty: three in the middle"
    )

    @field_validator("layers")
    @classmethod
    def sort_layers(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        """Sort layers in ascending order without duplicates, as in the graph."""
        return tuple(sorted(set(layers)))

    @property
    def sample_rate_hz(self) -> int:
        """The encoders' sampling rate."""
        return 16_000


class NetworkSettings(Settings):
    """The reference's convolutional network, for spectrograms."""

    kind: Literal["cnn"] = "cnn"
    conv_channels: Annotated[tuple[Units, ...], Field(max_length=16)] = Field(
        (32, 64), description="one convolution block each"
    )
    kernel_size: Kernel = 3
    pool_size: Kernel = 2
    dense_units: Annotated[tuple[Units, ...], Field(max_length=16)] = (128,)


class HeadSettings(Settings):
    """Dense layers on an embedding."""

    kind: Literal["head"] = "head"
    hidden_units: Annotated[tuple[Units, ...], Field(max_length=16)] = Field(
        (), description="one dense layer each"
    )
    members: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="ensemble members, trained in parallel, whose logits are averaged"
    )
    input_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of the embedding dropped in each training step"
    )


class AugmentationSettings(Settings):
    """Augmentation of training clips; shares are fractions of the augmented copies."""

    copies: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="augmented copies of each training clip, in addition to the clip itself"
    )
    crop: bool = Field(True, description="trim silence at both ends by a random length")
    speed: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.15, description="largest change of speed and pitch; 0.15: from 1/1.15 to 1.15"
    )
    parts: Share = Field(
        0.15, description="with a part of the speech only, or its end before its beginning"
    )
    reverberation: Share = Field(0.3, description="with a synthetic room's reverberation")
    equalizer: Share = Field(0.4, description="with a random frequency response")
    noise: Share = Field(0.5, description="with noise, babble or environmental sounds")
    interference: Share = Field(0.3, description="with mains hum, rumble, clicks or a tap")
    clipping: Share = Field(0.2, description="with the loudest 0.1 to 5% of the samples clipped")
    codec: Share = Field(0.2, description="through a telephone or a lossy codec")


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
        """Accept ``0.01`` for ``{conv = 0.01, dense = 0.01}``."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"conv": float(value), "dense": float(value)}
        return value


class RegularizationSettings(Settings):
    """Regularization of the network against overfitting."""

    l1: KernelPenalty = KernelPenalty()
    l2: KernelPenalty = KernelPenalty()
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="after each dense layer")


class TrainingSettings(Settings):
    """Optimiser, learning-rate schedule and length of the training."""

    optimizer: Literal["sgd", "rmsprop", "adam", "adamw"] = "rmsprop"
    learning_rate: Annotated[float, Field(gt=0, le=1_000)] = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="of sgd")
    weight_decay: Weight = Field(0.0, description="of adamw; decoupled")
    batch_size: Positive = 32
    epochs: Positive = 50
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    mask_absent_labels: bool = Field(
        False, description="leave labels that a clip's corpus lacks out of the loss of the clip"
    )
    schedule: Literal["constant", "plateau", "cosine"] = "constant"
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.2
    plateau_patience: Positive = Field(3, description="epochs without a better validation loss")
    min_learning_rate: Weight = 1e-6
    early_stopping_patience: Annotated[int, Field(ge=0, le=100_000)] = Field(
        0, description="epochs without a better validation loss; 0: train to the end"
    )
    references: Annotated[int, Field(ge=0, le=100)] = Field(
        0,
        description="largest number of a speaker's recordings averaged to a reference; 0: none",
    )
    refit: bool = Field(
        False, description="after calibration, train again with the validation clips included"
    )

    @property
    def needs_validation(self) -> bool:
        """Whether the training uses validation clips during training."""
        return self.early_stopping_patience > 0 or self.schedule == "plateau"

    @model_validator(mode="after")
    def check_refit(self) -> "TrainingSettings":
        """Refuse a refit with settings that need validation clips."""
        if self.refit and self.needs_validation:
            raise ValueError(
                "refit leaves no validation clips for early stopping and the plateau schedule; "
                "use a fixed number of epochs"
            )
        return self
