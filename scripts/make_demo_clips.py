"""Choose the recordings of `emovox demo` from CREMA-D, and copy them into the package.

    .venv/bin/python scripts/make_demo_clips.py PATH/TO/crema-d

The folder contains `AudioWAV/` and `tabulatedVotes.csv`. The model's predictions play no part in
the selection. Each of the six emotions is portrayed by one woman and one man, drawn at random with
a fixed seed; no speaker and no sentence occurs twice. One of the two clips of an emotion is drawn
from those where most listeners of the voice alone chose the intended emotion. The other may have
any listeners' choice, as long as one emotion leads. At least half of the clips were therefore
recognised as intended; about half of the corpus was not.
"""

import csv
import random
import shutil
from pathlib import Path

import typer

from emovox.corpora.clips import Clip
from emovox.corpora.named import list_named
from emovox.demo.clips import ASSETS, DemoClip, write_manifest
from emovox.labels import map_label

SEED = 0
EMOTIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgust")
# The source contains each of these twice, under two labels.
DOUBTFUL = {"1017_IWW_ANG_XX", "1013_WSI_DIS_XX", "1006_TIE_HAP_XX"}
VOTES = {"A": "ANG", "D": "DIS", "F": "FEA", "H": "HAP", "N": "NEU", "S": "SAD"}


def main(folder: Path) -> None:
    """Replace the demo's clips by twelve of CREMA-D, with intended emotion and listeners' votes."""
    votes = read_voice_votes(folder / "tabulatedVotes.csv")
    listing = list_named("cremad", folder / "AudioWAV")
    voted = [clip for clip in listing.clips if clip.path.stem in votes.keys() - DOUBTFUL]
    described = [describe_clip(clip, votes[clip.path.stem]) for clip in voted]
    chosen = choose_clips([clip for clip in described if has_winner(votes[clip.path.stem])])
    for old in ASSETS.glob("*.opus"):
        old.unlink()
    for clip in chosen:
        shutil.copyfile(folder / "AudioWAV" / clip.file, ASSETS / clip.file)
        (ASSETS / clip.file).chmod(0o644)
    write_manifest(chosen)
    size = sum(path.stat().st_size for path in ASSETS.iterdir())
    agreed = sum(clip.heard == clip.intended for clip in chosen)
    typer.echo(f"{len(chosen)} clips, {agreed} recognised as intended, {size:,} bytes in {ASSETS}")


def read_voice_votes(path: Path) -> dict[str, dict[str, int]]:
    """Return the votes for each emotion in each clip, by listeners of the voice alone."""
    with path.open(newline="", encoding="utf-8") as file:
        return {
            row["fileName"]: {emotion: int(row[letter]) for letter, emotion in VOTES.items()}
            for row in csv.DictReader(file)
            if row[""].startswith("1")
        }


def has_winner(votes: dict[str, int]) -> bool:
    """Return whether one emotion has more votes than all others."""
    first, second, *_ = sorted(votes.values(), reverse=True)
    return first > second


def describe_clip(clip: Clip, votes: dict[str, int]) -> DemoClip:
    """Combine a clip's intended emotion with the listeners' choice."""
    heard = max(votes, key=votes.__getitem__)
    return DemoClip(
        file=clip.path.name,
        intended=clip.emotion,
        heard=str(map_label(heard, "cremad")),
        votes=votes[heard],
        listeners=sum(votes.values()),
        speaker=clip.speaker.removeprefix("cremad-"),
        gender=str(clip.gender),
        sentence=str(clip.sentence),
    )


def choose_clips(clips: list[DemoClip]) -> list[DemoClip]:
    """Draw a woman's and a man's clip of each emotion; no speaker and no sentence twice."""
    rng = random.Random(SEED)  # noqa: S311
    chosen: list[DemoClip] = []
    for number, emotion in enumerate(EMOTIONS):
        heard_as_intended = ("female", "male")[number % 2]
        for gender in ("female", "male"):
            taken = {name for clip in chosen for name in (clip.speaker, clip.sentence)}
            candidates = [
                clip
                for clip in clips
                if (clip.intended, clip.gender) == (emotion, gender)
                and taken.isdisjoint((clip.speaker, clip.sentence))
                and (gender != heard_as_intended or clip.heard == clip.intended)
            ]
            chosen.append(rng.choice(candidates))
    return chosen


if __name__ == "__main__":
    typer.run(main)
