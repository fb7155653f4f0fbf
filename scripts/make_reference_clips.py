"""Make the compressed copies of RAVDESS in `reference_clips/` from the lossless recordings.

    .venv/bin/python scripts/make_reference_clips.py PATH/TO/ravdess

Every speech clip of actors 1 to 4, mixed to mono, becomes an Ogg Opus file of the same name at
48 kHz, with its SHA-256 in `reference_clips/SHA256SUMS`. The same recordings and the same version
of libopus give the same bytes. The script then prints how far the shipped model's probabilities
move on every sixth clip.
"""

from pathlib import Path
from typing import Annotated

import av
import numpy as np
import typer

from emovox.audio.load import load_audio
from emovox.corpora.clips import Clip
from emovox.corpora.protocols import REFERENCE_ACTORS
from emovox.corpora.ravdess import read_ravdess
from emovox.corpora.reference_clips import FOLDER_NAME, write_checksums
from emovox.files import replace_file
from emovox.recognition.recognizer import Recognizer

RATE_HZ = 48_000
BLOCK_SAMPLES = 960
"""One Opus frame of 20 ms."""


def main(
    folder: Path,
    out: Annotated[Path, typer.Option(help="Folder of the copies.")] = Path(FOLDER_NAME),
    bit_rate: Annotated[int, typer.Option(help="Bits per second.")] = 32_000,
) -> None:
    """Encode the clips of actors 1 to 4, write their checksums, and measure what it changed."""
    clips = [clip for clip in read_ravdess(folder) if clip.speaker in REFERENCE_ACTORS]
    copies = [out / f"Actor_{int(clip.speaker):02d}" / f"{clip.name}.opus" for clip in clips]
    for clip, copy in zip(clips, copies, strict=True):
        encode_clip(clip.path, copy, bit_rate)
    write_checksums(out, copies)
    size = sum(copy.stat().st_size for copy in copies)
    typer.echo(f"{len(copies)} clips, {size:,} bytes in {out}")
    typer.echo(measure_shifts(clips[::6], copies[::6]))


def encode_clip(path: Path, copy: Path, bit_rate: int) -> None:
    """Write a recording as mono Ogg Opus, with the same number of samples."""
    samples = load_audio(path, RATE_HZ).samples
    with replace_file(copy) as part:
        # Without bitexact the muxer draws a random serial number, and every run differs.
        with av.open(part, "w", format="ogg", container_options={"fflags": "+bitexact"}) as ogg:
            stream = ogg.add_stream("libopus", rate=RATE_HZ, layout="mono")
            stream.codec_context.format = av.AudioFormat("flt")
            stream.bit_rate = bit_rate
            for start in range(0, len(samples), BLOCK_SAMPLES):
                block = np.ascontiguousarray(samples[start : start + BLOCK_SAMPLES])
                frame = av.AudioFrame.from_ndarray(block[np.newaxis], format="flt", layout="mono")
                frame.sample_rate, frame.pts = RATE_HZ, start
                ogg.mux(stream.encode(frame))
            ogg.mux(stream.encode(None))


def measure_shifts(clips: list[Clip], copies: list[Path]) -> str:
    """Return how far the shipped model's probabilities move, and how many emotions stay."""
    recognizer = Recognizer.load(min_confidence=0)
    shifts, same = [], 0
    for clip, copy in zip(clips, copies, strict=True):
        before, after = recognizer.predict(clip.path), recognizer.predict(copy)
        if before.scores is None or after.scores is None:
            raise typer.BadParameter(f"no speech in {clip.name}")
        shifts.append(max(abs(p - after.scores[label]) for label, p in before.scores.items()))
        same += before.emotion == after.emotion
    return (
        f"{len(clips)} clips predicted: the largest shift of a probability is {max(shifts):.3f}, "
        f"the median over clips of their largest {np.median(shifts):.3f}; {same} of {len(clips)} "
        "with the same emotion"
    )


if __name__ == "__main__":
    typer.run(main)
