"""Measure what five labelled clips per class bring on a corpus that a model was not trained on.

    .venv/bin/python benchmarks/adapt.py runs/loco [runs/loco-seed1 ...]
    .venv/bin/python benchmarks/adapt.py default --corpus nemo --corpus aesdd

Each fold of a run under ``loco`` left one corpus out. Its model file is adapted to five clips of
each class, from three of that corpus' speakers, and scored on the other speakers: UAR over the
labels that model and corpus share, before and after, averaged over draws and over runs. The last
row is the mean over corpora (bar: a gain of 8 points).
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import onnx
import typer

from emovox import Recognizer, load_clips
from emovox.adapt.adapt import predict_base
from emovox.adapt.features import ComputedClips, compute_clips, share_labels
from emovox.adapt.graph import find_head
from emovox.adapt.head import Features, choose_strength, fit_head, predict_logits
from emovox.corpora.loco import count_calm_as_neutral
from emovox.labels import order_labels
from emovox.recognition.model_file import find_model
from emovox.runs.folder import MODEL_NAME

N_SPEAKERS = 3


def main(
    models: Annotated[list[str], typer.Argument(metavar="RUN...|MODEL")],
    corpus: Annotated[list[str] | None, typer.Option("--corpus")] = None,
    draws: Annotated[int, typer.Option("--draws", min=1)] = 5,
    per_class: Annotated[int, typer.Option("--per-class", min=5)] = 5,
    max_clips: Annotated[int, typer.Option("--max-clips", min=100)] = 1_500,
    data: Annotated[Path | None, typer.Option("--data")] = None,
) -> None:
    """Print UAR before and after, and the gain, in points."""
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for path, name in find_models(models, corpus):
        found, labels = compute_corpus(path, name, data, max_clips)
        for draw in range(draws):
            scores[name].append(measure_draw(found, labels, path, draw, per_class))
        before, after = 100 * np.mean(scores[name], axis=0)
        sys.stderr.write(f"{path}, {name}: {before:.1f} -> {after:.1f}\n")
    means = {name: 100 * np.mean(pairs, axis=0) for name, pairs in scores.items()}
    typer.echo("corpus,draws,before,after,gain")
    for name, (before, after) in means.items():
        typer.echo(f"{name},{len(scores[name])},{before:.1f},{after:.1f},{after - before:+.1f}")
    before, after = np.mean(list(means.values()), axis=0)
    typer.echo(f"mean,,{before:.1f},{after:.1f},{after - before:+.1f}")


def find_models(models: list[str], corpora: list[str] | None) -> Iterator[tuple[Path, str]]:
    """Yield each model file with the corpus to adapt it to."""
    for model in models:
        if corpora:
            yield from ((find_model(model), corpus) for corpus in corpora)
        else:
            for fold in sorted(Path(model).glob("fold-*")):
                yield fold / MODEL_NAME, fold.name.removeprefix("fold-")


def compute_corpus(
    path: Path, corpus: str, data: Path | None, max_clips: int
) -> tuple[ComputedClips, tuple[str, ...]]:
    """Run a model on clips of a corpus, at most ``max_clips``, evenly spread over it."""
    recognizer = Recognizer.load(path)
    known = recognizer.info.labels
    clips = list(load_clips(data, [corpus]))
    if "calm" not in known:
        clips = list(count_calm_as_neutral(clips))
    clips = [clip for clip in clips if clip.emotion in known]
    order = np.random.default_rng(0).permutation(len(clips))[:max_clips]
    proto = onnx.load(path)
    chosen = [clips[at] for at in sorted(order)]
    found = compute_clips(recognizer, proto, find_head(proto, str(path)), chosen)
    return found, order_labels(clip.emotion for clip in found.clips)


def measure_draw(
    found: ComputedClips, labels: tuple[str, ...], path: Path, draw: int, per_class: int
) -> tuple[float, float]:
    """Return the UAR of the other speakers before and after adaptation to drawn clips."""
    generator = np.random.default_rng(draw)
    known = Recognizer.load(path, vad=False).info.labels
    classes = np.array([labels.index(clip.emotion) for clip in found.clips])
    speakers = np.array([clip.speaker for clip in found.clips])
    drawn = generator.choice(np.unique(speakers), N_SPEAKERS, replace=False)
    own = np.isin(speakers, drawn)
    clips = np.concatenate(
        [
            generator.permutation(np.flatnonzero(own & (classes == at)))[:per_class]
            for at in range(len(labels))
        ]
    )
    features = found.make_features(share_labels(known, labels))
    adaptation, rest = select(features, clips), select(features, np.flatnonzero(~own))
    choice = choose_strength(adaptation, classes[clips], np.arange(len(clips)))
    head = fit_head(adaptation, classes[clips], choice)
    before = predict_base(found, known, labels)[~own]
    after = predict_logits(head, rest).argmax(axis=1)
    return measure_uar(classes[~own], before), measure_uar(classes[~own], after)


def select(features: Features, clips: npt.NDArray[np.intp]) -> Features:
    """Return the features of some clips."""
    return Features(features.inputs[clips], features.hidden[clips], features.scores[clips])


def measure_uar(true: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> float:
    """Return the mean recall over the classes that occur."""
    return float(np.mean([np.mean(predicted[true == at] == at) for at in np.unique(true)]))


if __name__ == "__main__":
    typer.run(main)
