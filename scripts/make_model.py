"""Make the bundled model, or the one for research, after their recipe has been scored.

    .venv/bin/python benchmarks/voices.py
    .venv/bin/python scripts/make_model.py
    .venv/bin/python scripts/make_model.py --research research.onnx
    .venv/bin/python scripts/make_model.py --restamp

The recipe `voices` is trained on every clip of its corpora; for research, on those of all six. The
scores in the metadata are those of models that were trained without the corpus tested. Temperature
and threshold are those that fit all corpora left out, without a voice.

`--restamp` trains nothing: it writes the bundled file's metadata in the current format, with its
seal.
"""

import csv
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import onnx
import typer

from emovox import load_audio, load_clips, load_network, load_protocol, load_recipe, run_experiment
from emovox.corpora.registry import list_credits
from emovox.export.metadata import serialize_model
from emovox.export.onnx import add_embedding, export_onnx
from emovox.files import replace_file
from emovox.recognition.model_file import (
    FORMAT_VERSION,
    ModelInfo,
    ProtocolScore,
    find_default_model,
    open_model,
)
from emovox.training.features import describe_encoder_licence

RECIPE = "voices"
FOR_RESEARCH = ("ravdess", "nemo", "ased", "aesdd")
"""Corpora that only the model for research is trained on."""
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCORES = BENCHMARKS / "voices.csv"
CALIBRATIONS = BENCHMARKS / "voices_calibration.json"


def main(
    research: Annotated[Path | None, typer.Option(help="Train on all six corpora.")] = None,
    restamp: Annotated[bool, typer.Option("--restamp")] = False,
) -> None:
    """Train on everything, calibrate, and write the model file."""
    target = research or find_default_model()
    if restamp:
        restamp_model(target)
    else:
        make_model(target, "loco" if research else "open")
    print_model(open_model(target).info)


def restamp_model(path: Path) -> None:
    """Write a model file in the current format, with its embedding as an output, and its seal."""
    proto, found = onnx.load(path), open_model(path)
    info = replace(
        found.info,
        format_version=FORMAT_VERSION,
        corpora=found.info.corpora or list_credits(found.info.training_corpora),
        encoder_licence=found.info.encoder_licence or describe_encoder_licence(load_recipe(RECIPE)),
    )
    if not found.n_features:
        (mean,) = (tensor for tensor in proto.graph.initializer if tensor.name == "mean")
        add_embedding(proto.graph, mean.dims[0])
    with replace_file(path) as part:
        part.write_bytes(serialize_model(proto, info))


def make_model(target: Path, protocol: str) -> None:
    """Train, calibrate and export a model.

    Args:
        target: The file to write.
        protocol: Part of the scores that belongs to it, ``open`` or ``loco``.
    """
    settings = ["data.protocol=everything"]
    if protocol == "loco":
        corpora = [*load_recipe(RECIPE).data.corpora, *FOR_RESEARCH]
        settings += [f"data.corpora={json.dumps(corpora)}", "data.calm_is_neutral=true"]
        settings.append('description="Many voices, for research: all six corpora."')
    recipe = load_recipe(RECIPE, settings)
    calibration = json.loads(CALIBRATIONS.read_text(encoding="utf-8"))[protocol]
    with tempfile.TemporaryDirectory() as temporary:
        run = run_experiment(recipe, load_protocol(recipe, None), Path(temporary) / "run")
        model = run.folder / "model.onnx"
        network = load_network(run.folder, recipe)
        network.temperature.fill_(calibration["temperature"])
        network.sharpening.fill_(calibration.pop("sharpening"))
        info = replace(open_model(model).info, **calibration, scores=read_scores(protocol))
        rate_hz = recipe.frontend.sample_rate_hz
        waveforms = [load_audio(clip.path, rate_hz).samples for clip in load_clips()[:8]]
        export_onnx(network, recipe, info, model, waveforms)
        with replace_file(target) as part:
            part.write_bytes(model.read_bytes())


def read_scores(protocol: str) -> tuple[ProtocolScore, ...]:
    """Read the scores without a voice, over four emotions and over all that are shared."""
    with SCORES.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["protocol"] == protocol]
    return tuple(
        ProtocolScore(
            name="UA",
            value=float(row["value"]),
            low=float(row["low"]),
            high=float(row["high"]),
            protocol=f"{protocol}, {row['labels']} emotions, {row['corpus']} left out",
            speaker_independent=True,
            n_seeds=int(row["seeds"]),
            n_clips=int(row["clips"]),
            n_speakers=int(row["speakers"]),
        )
        for row in rows
        if row["voice"] == "none" and row["corpus"] not in ("mean", "women", "men")
    )


def print_model(info: ModelInfo) -> None:
    """Print the new file's metadata."""
    typer.echo(f"{info.name}: {info.training_clips:,} training clips")
    typer.echo(f"temperature {info.temperature:.3f}, uncertain below {info.min_confidence:.2f}")
    for score in info.scores:
        typer.echo(f"  {score}")


if __name__ == "__main__":
    typer.run(main)
