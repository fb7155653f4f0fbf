"""Score the recipe ``voices`` on corpora that it was not trained on, with and without a voice.

    python benchmarks/voices.py [--seeds 3]

Two tables. *Open*: trained on the openly licensed corpora of the recipe, tested on the four others.
*loco*: each of the six corpora is tested by a model trained on the other five. Calm counts as
neutral. Each corpus is scored over the labels that it shares with the training corpora, and over
angry, happy, neutral and sad: UAR with 95% intervals over speakers and seeds.

A voice is a reference made from other recordings of the speaker: some at random ("unlabelled"),
neutral ones, or ten of one emotion, which is the worst case of the first. A clip is never in its
own reference. Temperature and threshold of a corpus are fitted on the predictions of the other
corpora left out, never on its own.

Embeddings are those of whole clips, so this measures the model without the recogniser's windows and
speech detection. Written to ``benchmarks/voices.csv``. Trained networks are not kept; with cached
embeddings, all of it takes a few minutes.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
import typer

from emovox import FeatureCache, load_recipe
from emovox.cli.progress import ProgressBars
from emovox.corpora.clips import Clip
from emovox.corpora.loco import count_calm_as_neutral
from emovox.corpora.read import load_listings
from emovox.evaluation.calibration import (
    apply_temperature,
    fit_min_confidence,
    fit_temperature,
)
from emovox.evaluation.evaluate import BOOTSTRAP_SEED
from emovox.evaluation.over_corpora import ScoresOverCorpora, score_over_corpora
from emovox.evaluation.predictions import Predictions
from emovox.experiments.folds import choose_clips
from emovox.files import write_text
from emovox.labels import order_labels
from emovox.recipes.recipe import Recipe, change_settings
from emovox.recognition.model_info import ReferencePrior
from emovox.training.networks import EmbeddingHead
from emovox.training.trainer import TrainedNetwork, train_network

TABLE = Path(__file__).with_name("voices.csv")
CALIBRATION = Path(__file__).with_name("voices_calibration.json")
COLUMNS = (
    "protocol", "voice", "recordings", "corpus", "labels", "value", "low", "high", "clips",
    "speakers", "seeds", "ece", "answered", "right",
)  # fmt: skip
OPEN, LOCO = "open", "loco"
RESTRICTED = ("ravdess", "nemo", "ased", "aesdd")
"""Corpora that are not openly licensed: for research, or not for commercial use."""


@dataclass(frozen=True, slots=True)
class VoiceKind:
    """How the reference of a speaker is made.

    Attributes:
        name: Name in the table.
        kind: As in ``Voice.kind``; empty: no voice.
        recordings: Number of recordings.
        alike: Whether all are of one emotion.
    """

    name: str
    kind: str = ""
    recordings: int = 0
    alike: bool = False


NO_VOICE = VoiceKind("none")
KINDS = (
    NO_VOICE,
    *(VoiceKind("unlabelled", "unlabelled", n) for n in (1, 3, 5, 10)),
    *(VoiceKind("neutral", "neutral", n) for n in (1, 3)),
    VoiceKind("one emotion", "unlabelled", 10, alike=True),
)
CALIBRATED_WITH = VoiceKind("unlabelled", "unlabelled", 10)
TARGET_ACCURACY = 0.7
"""Share of predictions above the threshold that are right, on the corpora it is fitted on."""

UNCALIBRATED = {"temperature": 1.0, "sharpening": 0.0}


@dataclass(frozen=True, slots=True)
class Tested:
    """A corpus left out, and a network that was trained without it.

    Attributes:
        corpus: Its name.
        clips: Its clips, of labels that the training corpora have.
        embeddings: Standardised, float32 ``(clips, features)``.
        trained: The network.
    """

    corpus: str
    clips: tuple[Clip, ...]
    embeddings: torch.Tensor
    trained: TrainedNetwork


def main(
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    recipe: str = "voices",
    settings: Annotated[list[str] | None, typer.Option("--set")] = None,
    protocols: str = f"{OPEN},{LOCO}",
    data: Path | None = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="For embeddings; default: cores.")] = None,
    write: Annotated[bool, typer.Option(help="Write the table.")] = True,
) -> None:
    """Train, test and print every table."""
    chosen = load_recipe(recipe, settings or [])
    features = FeatureCache(jobs)
    corpora = read_corpora(chosen, data)
    rows: list[list[str]] = []
    fitted: dict[str, dict[str, float]] = {}
    for protocol in protocols.split(","):
        with ProgressBars(protocol) as watcher:
            of_seed = []
            for seed in range(seeds):
                seeded = change_settings(chosen, {}).model_copy(update={"seed": seed})
                of_seed.append(list(train_and_embed(protocol, seeded, corpora, features, watcher)))
        scored, fitted[protocol] = score_protocol(protocol, of_seed)
        rows += scored
    if write:
        write_tables(rows, fitted)


def write_tables(rows: list[list[str]], fitted: dict[str, dict[str, float]]) -> None:
    """Write the committed tables; protocols that were not run keep their rows."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        kept = [row for row in csv.reader(file) if row[0] not in (*fitted, COLUMNS[0])]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([COLUMNS, *sorted([*kept, *rows], key=lambda row: row[0] != OPEN)])
    write_text(TABLE, text.getvalue())
    known = json.loads(CALIBRATION.read_text(encoding="utf-8"))
    write_text(CALIBRATION, json.dumps({**known, **fitted}, indent=1) + "\n")


def read_corpora(recipe: Recipe, data: Path | None) -> dict[str, tuple[Clip, ...]]:
    """Read the clips of the six corpora, without the speakers that the recipe leaves out."""
    names = (*recipe.data.corpora, *RESTRICTED)
    return {
        listing.corpus: count_calm_as_neutral(choose_clips(recipe, listing.clips))
        for listing in load_listings(data, names)
    }


def train_and_embed(
    protocol: str,
    recipe: Recipe,
    corpora: dict[str, tuple[Clip, ...]],
    features: FeatureCache,
    watcher: ProgressBars,
) -> Iterable[Tested]:
    """Train the networks of one seed, and embed the clips that each is tested on."""
    folds = {name: [other for other in corpora if other != name] for name in corpora}
    if protocol == OPEN:
        folds = {name: list(recipe.data.corpora) for name in RESTRICTED}
    networks: dict[tuple[str, ...], TrainedNetwork] = {}
    for corpus, others in folds.items():
        if tuple(others) not in networks:
            clips = [clip for other in others for clip in corpora[other]]
            networks[tuple(others)] = train(recipe, clips, features, watcher)
        trained = networks[tuple(others)]
        clips = [clip for clip in corpora[corpus] if clip.emotion in trained.labels]
        inputs = features.load(clips, recipe, labels=trained.labels)
        standardized = inputs.standardize(trained.mean, trained.std)
        embeddings = torch.cat([batch for batch, _ in standardized.split_batches(1_000)])
        yield Tested(corpus, tuple(clips), embeddings, trained)


def train(
    recipe: Recipe, clips: Sequence[Clip], features: FeatureCache, watcher: ProgressBars
) -> TrainedNetwork:
    """Train a network on clips."""
    labels = order_labels(clip.emotion for clip in clips)
    watcher.start_clips("embeddings", features.count_unknown(clips, recipe, augment=True))
    train_set = features.load(clips, recipe, labels=labels, augment=True, on_clip=watcher.end_clip)
    watcher.start_training(recipe.training.epochs)
    trained = train_network(
        recipe,
        train_set,
        features.load([], recipe, labels=labels),
        None,
        corpora=[clip.corpus for clip in clips],
        speakers=[clip.speaker for clip in clips],
        on_epoch=watcher.end_epoch,
    )
    watcher.end_training()
    return trained


def score_protocol(
    protocol: str, of_seed: Sequence[Sequence[Tested]]
) -> tuple[list[list[str]], dict[str, float]]:
    """Score a protocol with every kind of voice.

    Returns:
        The rows of the table; temperature and threshold that fit all corpora left out.
    """
    # At temperature 1, without and with a voice: what is calibrated.
    plain, adapted = (
        [join(predict(t, kind, UNCALIBRATED, seed) for t in ts) for seed, ts in enumerate(of_seed)]
        for kind in (NO_VOICE, CALIBRATED_WITH)
    )
    calibrations = {
        corpus: calibrate(*([p.select(p.folds != corpus) for p in ps] for ps in (plain, adapted)))
        for corpus in np.unique(plain[0].folds).tolist()
    }
    rows: list[list[str]] = []
    for kind in KINDS:
        parts = [
            join(
                predict(t, kind, calibrations[t.corpus], seed)
                for t in ts
                if kind.kind != "neutral" or any(c.emotion == "neutral" for c in t.clips)
            )
            for seed, ts in enumerate(of_seed)
        ]
        scores = score_over_corpora(parts, np.random.default_rng(BOOTSTRAP_SEED))
        typer.echo(f"\n{protocol}, voice: {kind.name} {kind.recordings or ''}")
        for line in scores.describe():
            typer.echo(line)
        rows += list_rows(protocol, kind, scores, parts, calibrations)
        if kind is NO_VOICE:
            rows += list_genders(protocol, parts)
    return rows, calibrate(plain, adapted)


def predict(
    tested: Tested, kind: VoiceKind, calibration: dict[str, float], seed: int
) -> Predictions:
    """Predict a corpus' clips with a voice of each speaker."""
    temperature = calibration["temperature"]
    network, labels = tested.trained.network, tested.trained.labels
    assert isinstance(network, EmbeddingHead)  # noqa: S101 - the recipe has an encoder
    scored = order_labels(clip.emotion for clip in tested.clips)
    is_scored = torch.tensor([label in scored for label in labels])
    with torch.inference_mode():
        logits = network(tested.embeddings) / temperature
        if kind.kind:
            probabilities = torch.softmax(logits, 1).double().numpy()
            reference = make_references(tested, kind, probabilities, seed)
            sharpened = (1 + calibration["sharpening"] * reference[1])[:, None]  # (clips, 1)
            logits = network(tested.embeddings, reference) * sharpened / temperature
        restricted = logits.double().masked_fill(~is_scored, -torch.inf)
        found = torch.softmax(restricted, 1).numpy()
    return Predictions(
        clips=np.array([clip.name for clip in tested.clips]),
        folds=np.array([tested.corpus] * len(tested.clips)),
        speakers=np.array([clip.speaker for clip in tested.clips]),
        genders=np.array([clip.gender or "" for clip in tested.clips]),
        true=np.array([labels.index(clip.emotion) for clip in tested.clips]),
        probabilities=found,
        labels=labels,
    )


def make_references(
    tested: Tested, kind: VoiceKind, probabilities: npt.NDArray[np.float64], seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make two references of each speaker; a clip in the first one takes the second."""
    generator, prior = np.random.default_rng(seed), ReferencePrior()
    labels = tested.trained.labels
    emotions = np.array([clip.emotion for clip in tested.clips])
    speakers = np.array([clip.speaker for clip in tested.clips])
    means = torch.zeros_like(tested.embeddings)
    weights = torch.zeros(len(tested.clips))
    shares = torch.zeros(len(tested.clips), len(labels))
    for speaker in np.unique(speakers):
        own = np.flatnonzero(speakers == speaker)
        candidates = own
        if kind.kind == "neutral":
            candidates = own[emotions[own] == "neutral"]
        elif kind.alike:
            candidates = own[emotions[own] == generator.choice(np.unique(emotions[own]))]
        # At most half, so that there are two.
        n = min(kind.recordings, len(candidates) // 2)
        drawn = generator.permutation(candidates)
        first, second = drawn[:n], drawn[n : 2 * n]
        for chosen, users in ((first, np.setdiff1d(own, first)), (second, first)):
            if n:
                means[users] = tested.embeddings[chosen].mean(0)
                weights[users] = prior.weigh(kind.kind, n, prior.high_spread)
                of_labels = prior.share_labels(kind.kind, labels, probabilities[chosen])
                shares[users] = torch.tensor(of_labels)
    return means, weights, shares


def join(parts: Iterable[Predictions]) -> Predictions:
    """Join the predictions of several corpora; labels that one lacks have probability 0."""
    parts = list(parts)
    labels = order_labels(label for part in parts for label in part.labels)
    probabilities, true = [], []
    for part in parts:
        columns = [labels.index(label) for label in part.labels]
        wide = np.zeros((len(part), len(labels)))
        wide[:, columns] = part.probabilities
        probabilities.append(wide)
        true.append(np.array(columns)[part.true])
    return Predictions(
        clips=np.concatenate([part.clips for part in parts]),
        folds=np.concatenate([part.folds for part in parts]),
        speakers=np.concatenate([part.speakers for part in parts]),
        genders=np.concatenate([part.genders for part in parts]),
        true=np.concatenate(true),
        probabilities=np.concatenate(probabilities),
        labels=labels,
    )


def calibrate(plain: Sequence[Predictions], adapted: Sequence[Predictions]) -> dict[str, float]:
    """Fit temperature, threshold and sharpening, averaged over seeds.

    Args:
        plain: Predictions of each seed without a voice, at temperature 1.
        adapted: The same with the voices ``CALIBRATED_WITH``.
    """
    temperatures, thresholds, sharpenings = [], [], []
    weight = ReferencePrior().weigh(CALIBRATED_WITH.kind, CALIBRATED_WITH.recordings, 1.0)
    for part, with_voice in zip(plain, adapted, strict=True):
        temperature = fit_temperature(part)
        probabilities = apply_temperature(part.probabilities, temperature)
        temperatures.append(temperature)
        rescaled = replace(part, probabilities=probabilities)
        thresholds.append(fit_min_confidence(rescaled, TARGET_ACCURACY))
        sharpenings.append((temperature / fit_temperature(with_voice) - 1) / weight)
    return {
        "temperature": float(np.exp(np.mean(np.log(temperatures)))),
        "min_confidence": float(np.median(thresholds)),
        "sharpening": max(0.0, float(np.mean(sharpenings))),
    }


def list_rows(
    protocol: str,
    kind: VoiceKind,
    scores: ScoresOverCorpora,
    parts: Sequence[Predictions],
    calibrations: dict[str, dict[str, float]],
) -> list[list[str]]:
    """Return a row for each corpus and for their mean, over all labels and over four."""
    rows = []
    start = [protocol, kind.name, str(kind.recordings)]
    entries = [
        (
            entry.corpus,
            entry.summary,
            entry.four,
            entry.calibration_error,
            *measure_answers(entry.corpus, parts, calibrations[entry.corpus]["min_confidence"]),
        )
        for entry in scores.corpora
    ]
    means = np.mean([entry[3:] for entry in entries], axis=0).tolist()
    entries.append(("mean", scores.mean, scores.four, *means))
    for corpus, *summaries, error, answered, right in entries:
        for labels, summary in zip(("all", "four"), summaries, strict=True):
            if summary is None:
                continue
            score, interval = summary.ua, summary.ua.interval
            numbers = (score.value, interval.low, interval.high)
            counts = (summary.n_clips, summary.n_speakers, len(parts))
            more = (error, answered, right) if labels == "all" else ("", "", "")
            rows.append([*start, corpus, labels, *map(repr, numbers), *map(str, (*counts, *more))])
    return rows


def list_genders(protocol: str, parts: Sequence[Predictions]) -> list[list[str]]:
    """Return a row for women and one for men: the mean over corpora, without a voice."""
    rows = []
    for gender, name in (("female", "women"), ("male", "men")):
        of_gender = [part.select(part.genders == gender) for part in parts]
        mean = score_over_corpora(of_gender, np.random.default_rng(BOOTSTRAP_SEED)).mean
        numbers = (mean.ua.value, mean.ua.interval.low, mean.ua.interval.high)
        counts = (mean.n_clips, mean.n_speakers, len(parts), "", "", "")
        start = [protocol, NO_VOICE.name, "0", name, "all"]
        rows.append([*start, *map(repr, numbers), *map(str, counts)])
        typer.echo(f"{name}: mean UAR {100 * mean.ua.value:.1f}")
    return rows


def measure_answers(
    corpus: str, parts: Sequence[Predictions], min_confidence: float
) -> tuple[float, float]:
    """Return the share of predictions above the threshold, and how many of these are right."""
    found = []
    for part in parts:
        own = part.select(part.folds == corpus)
        above = own.probabilities.max(1) >= min_confidence
        right = (own.predicted == own.true)[above]
        found.append((float(above.mean()), float(right.mean()) if above.any() else 1.0))
    answered, share = np.mean(found, axis=0).tolist()
    return answered, share


if __name__ == "__main__":
    typer.run(main)
