"""Short and long speech: how many predictions are right, and how sure are they?

    EMOVOX_DATA=corpora python benchmarks/speech_length.py [--model default] [--corpus cremad]

Single clips, their loudest parts, and six clips of one speaker and emotion joined, which stand for
long speech: no corpus here has any.
"""

from collections import defaultdict
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from emovox import Clip, Prediction, Recognizer, load_audio, read_corpus
from emovox.perturbations.timing import cut_loudest

N_JOINED = 6
PARTS_S = (0.2, 0.3, 0.5, 0.7, 1.0, 2.0)
SEED = 0

Answers = list[tuple[str, Prediction]]


def main(
    model: str = "default",
    corpus: str = "cremad",
    count: Annotated[int, typer.Option(min=1)] = 150,
) -> None:
    """Print the share answered, the share of these that is right, and their mean confidence."""
    recognizer = Recognizer.load(None if model == "default" else model, min_confidence=0)
    rate_hz = recognizer.info.sample_rate_hz
    groups: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in read_corpus(corpus).clips:
        groups[clip.speaker, clip.emotion].append(clip)
    generator = np.random.default_rng(SEED)
    keys = sorted(key for key, clips in groups.items() if len(clips) >= N_JOINED)
    chosen = [keys[i] for i in generator.permutation(len(keys))[:count]]
    found: dict[str, Answers] = defaultdict(list)
    for key in chosen:
        order = generator.permutation(len(groups[key]))[:N_JOINED]
        clips = [load_audio(groups[key][i].path, rate_hz).samples for i in order]

        def add(name: str, samples: npt.NDArray[np.float32], emotion: str = key[1]) -> None:
            found[name].append((emotion, recognizer.predict(samples, rate_hz=rate_hz)))

        for duration_s in PARTS_S:
            add(f"loudest {duration_s} s", cut_loudest(clips[0], round(duration_s * rate_hz)))
        for samples in clips:
            add("single clips", samples)
        add(f"{N_JOINED} joined", np.concatenate(clips))
    speakers = len({speaker for speaker, _ in chosen})
    typer.echo(f"{corpus}: {len(chosen)} groups of {N_JOINED} clips, {speakers} speakers")
    typer.echo(f"{'':<14} {'answered':>8} {'right':>8} {'confidence':>11}  most frequent")
    for name, answers in found.items():
        typer.echo(f"{name:<14} {describe(answers)}")


def describe(answers: Answers) -> str:
    """Return the share answered, and of these the share right, confidence and first emotion."""
    answered = [(true, p) for true, p in answers if p.emotion is not None]
    share = 100 * len(answered) / len(answers)
    if not answered:
        return f"{share:7.1f}%"
    right = 100 * np.mean([true == p.emotion for true, p in answered])
    confidence = 100 * np.mean([p.confidence for _, p in answered])
    emotions = [p.emotion for _, p in answered]
    most = max(set(emotions), key=emotions.count)
    of_most = 100 * emotions.count(most) / len(emotions)
    return f"{share:7.1f}% {right:7.1f}% {confidence:10.1f}%  {most} {of_most:.0f}%"


if __name__ == "__main__":
    typer.run(main)
