"""``emovox demo``: predict the bundled recordings."""

from pathlib import Path
from typing import Annotated

import typer

from emovox.cli.terminal import echo


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="HTML page to write.")] = Path(
        "demo.html"
    ),
) -> None:
    """Predict twelve bundled recordings, and write a page to listen to them.

    Nothing is downloaded. The recordings are from CREMA-D: the model was not trained on their
    speakers, but on others who say the same sentences. They were selected without regard to its
    predictions.
    """
    from emovox.demo.clips import read_demo_clips
    from emovox.demo.page import count_agreed, write_demo_page
    from emovox.recognition.recognizer import Recognizer

    recognizer = Recognizer.load()
    results = [(clip, recognizer.predict(clip.path)) for clip in read_demo_clips()]
    echo(f"{'file':<21} {'intended':<9} {'listeners heard':<18} {'predicted':<10} confidence")
    for clip, prediction in results:
        heard = f"{clip.heard:<9} {clip.votes:>2} of {clip.listeners:>2}"
        echo(
            f"{clip.file:<21} {clip.intended:<9} {heard:<18} "
            f"{prediction.emotion or prediction.abstained:<10} "
            f"{prediction.confidence or 0:>10.2f}"
        )
    n_uncertain = sum(prediction.emotion is None for _, prediction in results)
    echo()
    echo(
        f"{count_agreed(results)} of {len(results)} predictions match what listeners heard most "
        f'often; {n_uncertain} are "uncertain".'
    )
    echo("The model was trained on other speakers, who say the same sentences.")
    write_demo_page(out, results)
    echo(f"To listen, open {out} in a browser.")
