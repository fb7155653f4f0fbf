"""Single clips, and six clips of one speaker and emotion joined: how many are right?

    EMOVOX_DATA=corpora python benchmarks/long_speech.py [--model default] [--corpus cremad]

Joined clips stand for long speech, which no corpus here has.
"""

from collections import defaultdict
from typing import Annotated

import numpy as np
import typer

from emovox import Clip, Recognizer, load_audio, read_corpus

N_JOINED = 6
SEED = 0


def main(
    model: str = "default",
    corpus: str = "cremad",
    count: Annotated[int, typer.Option(min=1)] = 150,
) -> None:
    """Print the share of right predictions, and the most frequent one."""
    recognizer = Recognizer.load(None if model == "default" else model, min_confidence=0)
    rate_hz = recognizer.info.sample_rate_hz
    groups: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in read_corpus(corpus).clips:
        groups[clip.speaker, clip.emotion].append(clip)
    generator = np.random.default_rng(SEED)
    keys = sorted(key for key, clips in groups.items() if len(clips) >= N_JOINED)
    chosen = [keys[i] for i in generator.permutation(len(keys))[:count]]
    found: dict[str, list[tuple[str, str | None]]] = {"single clips": [], "joined": []}
    for key in chosen:
        order = generator.permutation(len(groups[key]))[:N_JOINED]
        clips = [load_audio(groups[key][i].path, rate_hz).samples for i in order]
        for samples in clips:
            prediction = recognizer.predict(samples, rate_hz=rate_hz)
            found["single clips"].append((key[1], prediction.emotion))
        prediction = recognizer.predict(np.concatenate(clips), rate_hz=rate_hz)
        found["joined"].append((key[1], prediction.emotion))
    speakers = len({speaker for speaker, _ in chosen})
    typer.echo(f"{corpus}: {count} recordings of {N_JOINED} clips, {speakers} speakers")
    for name, pairs in found.items():
        right = np.mean([true == predicted for true, predicted in pairs])
        answers = [predicted for _, predicted in pairs]
        most = max(set(answers), key=answers.count)
        share = answers.count(most) / len(answers)
        typer.echo(f"{name}: {100 * right:.1f}% right; {most} for {100 * share:.0f}%")


if __name__ == "__main__":
    typer.run(main)
