"""Damaged recordings, model files and recipes, for `fuzz.py`."""

import io
import tomllib
from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import TypeVar, cast

import av
import numpy as np
import numpy.typing as npt
import soundfile as sf

from emovox.errors import AudioError, ModelFileError, RecipeError
from emovox.perturbations.babble import make_voice
from emovox.recipes.recipe import load_recipe
from emovox.recognition.model_file import find_default_model
from emovox.recognition.recognizer import Recognizer

Item = TypeVar("Item")

VOICE_S = 1.2
RATE_HZ = 16_000

SOUNDFILE_FORMATS = (
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAV", "IMA_ADPCM"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
)
FFMPEG_FORMATS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("mp4", "aac", {}),
    ("mov", "alac", {}),
    ("webm", "libopus", {}),
    ("matroska", "flac", {}),
    ("avi", "pcm_s16le", {}),
    ("flv", "libmp3lame", {}),
    ("adts", "aac", {}),
    ("ac3", "ac3", {}),
    ("amr", "libopencore_amrnb", {}),
    ("wv", "wavpack", {}),
    ("tta", "tta", {}),
    ("asf", "wmav2", {}),
    ("mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"}),
)
"""Containers and codecs that PyAV writes, the last as a stream of unknown length."""

EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
SEAL = b"emovox.sha256"
"""In a model file that proves that it is whole: each change of it must be refused."""


class Recordings:
    """A synthetic voice in every format that can be written here, damaged."""

    allowed = AudioError
    memory_mb = 600

    def __init__(self, _: Path) -> None:
        voice = 0.5 * make_voice(round(VOICE_S * RATE_HZ), RATE_HZ, np.random.default_rng(0))
        self.recordings = [write_with_soundfile(voice, *names) for names in SOUNDFILE_FORMATS]
        self.recordings += [write_with_ffmpeg(voice, *names) for names in FFMPEG_FORMATS]
        self.recognizer = Recognizer.load()
        # All formats must be good before they are damaged; this also loads every library.
        for recording in self.recordings:
            self.check(recording)

    def make(self, generator: np.random.Generator) -> bytes:
        """Damage one of the recordings, or join the halves of two."""
        content = draw_one(generator, self.recordings)
        if generator.random() < 0.05:
            other = draw_one(generator, self.recordings)
            content = content[: len(content) // 2] + other[len(other) // 2 :]
        return damage(content, generator)

    def check(self, content: bytes) -> str:
        """Predict."""
        prediction = self.recognizer.predict(content)
        return prediction.abstained or "prediction"


class Models:
    """The shipped model file, damaged."""

    allowed = ModelFileError
    memory_mb = 600

    def __init__(self, folder: Path) -> None:
        self.path = folder / "model.onnx"
        self.content = find_default_model().read_bytes()
        self.noise = np.random.default_rng(0).uniform(-0.3, 0.3, RATE_HZ).astype(np.float32)
        self.check(self.content)

    def make(self, generator: np.random.Generator) -> bytes:
        """Damage the weights, or the first or last bytes, which hold structure and metadata."""
        split = int(draw_one(generator, [20_000, len(self.content), len(self.content) - 12_000]))
        head, tail = self.content[:split], self.content[split:]
        if len(tail) == 12_000:
            return head + damage(tail, generator)
        return damage(head, generator) + tail

    def check(self, content: bytes) -> str:
        """Open it, and predict noise."""
        self.path.write_bytes(content)
        recognizer = Recognizer.load(self.path, vad=False)
        recognizer.predict(self.noise, rate_hz=RATE_HZ)
        if content != self.content and SEAL in self.content:
            raise AssertionError("a model file was opened that does not match its digest")
        return "prediction"


class Recipes:
    """The bundled recipes, damaged as text and as bytes."""

    allowed = RecipeError
    memory_mb = 600

    def __init__(self, folder: Path) -> None:
        self.path = folder / "recipe.toml"
        folder_of_recipes = resources.files("emovox") / "recipes"
        paths = sorted(folder_of_recipes.iterdir(), key=lambda path: path.name)
        self.texts = [p.read_text("utf-8") for p in paths if p.name.endswith(".toml")]
        for text in self.texts:
            self.check(text.encode())

    def make(self, generator: np.random.Generator) -> bytes:
        """Change values, lines or bytes."""
        lines = draw_one(generator, self.texts).splitlines()
        for _ in range(int(generator.integers(1, 4))):
            at = int(generator.integers(len(lines)))
            value = draw_value(generator)
            changed = draw_one(
                generator,
                [
                    [f"{lines[at].partition('=')[0]}= {value}"],
                    [],
                    [lines[at], draw_one(generator, lines)],
                    [lines[at], f"[{value}]"],
                ],
            )
            lines[at : at + 1] = changed
            lines = lines or [""]
        content = "\n".join(lines).encode()
        return damage(content, generator) if generator.random() < 0.3 else content

    def check(self, content: bytes) -> str:
        """Load it, and again from what it writes."""
        self.path.write_bytes(content)
        recipe = load_recipe(self.path)
        text = recipe.to_toml()
        tomllib.loads(text)
        self.path.write_text(text, encoding="utf-8")
        if load_recipe(self.path) != recipe:
            raise AssertionError("a recipe changed when it was written and read")
        return "recipe"


def write_with_soundfile(voice: npt.NDArray[np.float32], kind: str, subtype: str) -> bytes:
    """Write a recording with libsndfile."""
    buffer = io.BytesIO()
    sf.write(buffer, voice, RATE_HZ, format=kind, subtype=subtype)
    return buffer.getvalue()


def write_with_ffmpeg(
    voice: npt.NDArray[np.float32], kind: str, codec: str, options: dict[str, str]
) -> bytes:
    """Write a recording with FFmpeg, whose encoders choose their own rate and sample format."""
    buffer = io.BytesIO()
    rate_hz = {"libopencore_amrnb": 8_000, "wmav2": 44_100}.get(codec, 48_000)
    with av.open(buffer, "w", format=kind, options=options) as output:
        stream = cast(av.AudioStream, output.add_stream(codec, rate=rate_hz, layout="mono"))
        if codec == "wmav2":
            stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(voice[np.newaxis], format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            output.mux(packet)
    return buffer.getvalue()


def draw_one(generator: np.random.Generator, items: Sequence[Item]) -> Item:
    """Draw one of some items."""
    return items[int(generator.integers(len(items)))]


def draw_value(generator: np.random.Generator) -> str:
    """Draw a TOML value, most of them odd."""
    return draw_one(
        generator,
        [
            "0",
            "-1",
            "1e308",
            "nan",
            "-inf",
            "true",
            '""',
            "[]",
            "{}",
            "1979-05-27",
            '"\\u202e"',
            '"\\u001b[2J"',
            "9" * 5_000,
            "[" * 5_000,
            "[" * 500 + "]" * 500,
            "[1, [2, {a = 3}]]",
            f'"{"x" * 100_000}"',
            str(int(generator.integers(2**62))),
            str(generator.normal()),
            '"hf:../../etc"',
            "{ low = 1, high = 0 }",
            "{ choices = [] }",
        ],
    )


def damage(content: bytes, generator: np.random.Generator) -> bytes:
    """Change some bytes in one to four ways; the result always differs."""
    damaged = bytearray(content)
    while bytes(damaged) == content:
        for _ in range(int(generator.integers(1, 5))):
            draw_one(generator, DAMAGES)(damaged, generator)
    return bytes(damaged)


def draw_span(content: bytearray, generator: np.random.Generator) -> slice:
    """Draw a span of a file: anywhere, of 1 to half of its bytes, short ones more often."""
    length = int(np.exp(generator.uniform(0, np.log(max(2, len(content) // 2)))))
    start = int(generator.integers(max(1, len(content) - length + 1)))
    return slice(start, start + length)


def flip_bits(content: bytearray, generator: np.random.Generator) -> None:
    """Flip one to twenty bits, in the first 200 bytes as often as anywhere."""
    reach = draw_one(generator, [min(200, len(content)), len(content)])
    for _ in range(int(generator.integers(1, 21)) if reach else 0):
        content[int(generator.integers(reach))] ^= 1 << int(generator.integers(8))


def write_extreme(content: bytearray, generator: np.random.Generator) -> None:
    """Write a number that a header's size or count could not be, in either byte order."""
    size = draw_one(generator, [1, 2, 4, 8])
    reach = draw_one(generator, [min(200, len(content)), len(content)])
    at = int(generator.integers(max(1, reach - size)))
    value = draw_one(generator, EXTREMES) & (256**size - 1)
    content[at : at + size] = value.to_bytes(size, draw_one(generator, ["little", "big"]))


def zero_span(content: bytearray, generator: np.random.Generator) -> None:
    """Write zeros over a span."""
    span = draw_span(content, generator)
    content[span] = bytes(len(content[span]))


def scramble_span(content: bytearray, generator: np.random.Generator) -> None:
    """Write random bytes over a span."""
    span = draw_span(content, generator)
    content[span] = generator.bytes(len(content[span]))


def remove_span(content: bytearray, generator: np.random.Generator) -> None:
    """Remove a span."""
    del content[draw_span(content, generator)]


def repeat_span(content: bytearray, generator: np.random.Generator) -> None:
    """Insert a copy of a span somewhere."""
    copied = content[draw_span(content, generator)]
    at = int(generator.integers(len(content) + 1))
    content[at:at] = copied


def cut(content: bytearray, generator: np.random.Generator) -> None:
    """Cut the file off."""
    del content[int(generator.integers(len(content) + 1)) :]


def append_bytes(content: bytearray, generator: np.random.Generator) -> None:
    """Append random bytes."""
    content += generator.bytes(int(generator.integers(1, 2_000)))


Damage = Callable[[bytearray, np.random.Generator], None]
DAMAGES: tuple[Damage, ...] = (
    flip_bits,
    flip_bits,
    write_extreme,
    write_extreme,
    zero_span,
    scramble_span,
    remove_span,
    repeat_span,
    cut,
    append_bytes,
)
