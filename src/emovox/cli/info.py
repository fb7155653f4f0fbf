"""``emovox info``: what a model is made of."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emovox.cli.options import ScoreFormat, ScoreFormatOption
from emovox.cli.paragraphs import echo_wrapped
from emovox.cli.terminal import echo, echo_json
from emovox.recognition.named_models import DEFAULT_MODEL

if TYPE_CHECKING:
    from emovox.recognition.model_file import ModelFile


def info(
    model: Annotated[
        str,
        typer.Argument(
            metavar="[MODEL]",
            help="A model.onnx, or the name of a model. Default: the bundled one.",
        ),
    ] = DEFAULT_MODEL,
    output: ScoreFormatOption = ScoreFormat.TABLE,
) -> None:
    """Show a model's labels, licence, training corpora with their credits, and scores."""
    from emovox.recognition.model_file import open_model
    from emovox.recognition.named_models import check_named_model, find_model

    path = find_model(model)
    opened = open_model(path)
    check_named_model(model, path, opened.sha256)
    if output is ScoreFormat.JSON:
        echo_json(describe_model(opened))
    else:
        print_model(opened)


def describe_model(model: "ModelFile") -> dict[str, Any]:
    """Return all that is known of a model file, as JSON-serialisable types."""
    return {
        "file": str(model.path),
        "sha256": model.sha256,
        "bytes": model.n_bytes,
        "embedding_features": model.n_features,
        "takes_voice": model.info.reference is not None,
        "non_commercial": model.info.is_non_commercial,
        **asdict(model.info),
    }


def print_model(model: "ModelFile") -> None:
    """Print a model file's description as text."""
    about = model.info
    takes = "yes" if about.reference else "no"
    echo(f"{about.name}: {model.path}")
    echo(f"  {model.n_bytes:,} bytes, SHA-256 {model.sha256}, format {about.format_version}")
    echo(f"  labels: {', '.join(about.labels)}")
    echo(f"  {about.sample_rate_hz:,} Hz; uncertain below {about.min_confidence:.2f}")
    embedding = f"{model.n_features:,} features" if model.n_features else "none"
    echo(f"  takes a voice: {takes}; embedding: {embedding}")
    echo("")
    echo("Licence")
    restricted = " It does not allow every use." if about.is_non_commercial else ""
    echo_wrapped(f"{about.licence}.{restricted}", 2)
    if about.encoder_licence:
        echo_wrapped(f"Encoder: {about.encoder_licence}.", 2)
    echo("")
    echo("Trained on")
    echo(f"  {about.training_clips:,} clips of {len(about.training_speakers):,} speakers")
    for corpus in about.corpora:
        parts = filter(None, (corpus.licence, corpus.credit, corpus.url))
        echo_wrapped(f"{corpus.name}: {'. '.join(parts)}", 2)
    if not about.corpora:
        echo(f"  {', '.join(about.training_corpora)}")
    if about.encoder_training:
        echo_wrapped(about.encoder_training, 2)
    if about.scores:
        echo("")
        echo("Scores of the recipe")
        for score in about.scores:
            echo_wrapped(str(score), 2)
