"""Runs every command of emovox on made clips, in one process that tests/test_privacy.py traces.

``every_command.py DATA RECIPE RUN OTHER ENCODER`` runs in an empty folder, with the fixtures
``tiny_corpus``, ``tiny_recipe_file`` and ``tiny_runs``, and a speech encoder as transformers writes
them. It prints "loaded" once onnxruntime is in use and "done" at the end, and then holds its
recogniser until its standard input ends.
"""

import sys
from pathlib import Path

from emovox import Recognizer
from emovox.cli.main import main

TUNED = """
[tune.space]
"training.learning_rate" = { low = 1e-4, high = 0.1, log = true }
"""


def emovox(*arguments: str | Path) -> None:
    """Run one command, which has to end well."""
    sys.argv = ["emovox", *map(str, arguments)]
    try:
        main()
    except SystemExit as ending:
        if ending.code:
            raise SystemExit(f"emovox {' '.join(sys.argv[1:])}: status {ending.code}") from None


def say(word: str) -> None:
    """Tell the test how far this process is."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def run_every_command(data: Path, recipe: Path, run: Path, other: Path, encoder: Path) -> None:
    """Run all commands on the given fixtures."""
    clips = sorted(data.rglob("*.wav"))
    recognizer = Recognizer.load()
    recognizer.predict(clips[0])
    say("loaded")

    corpus = ("--data", data)
    one_fold = (*corpus, "--protocol", "loso", "--splits", "1", "--set", "training.epochs=1")
    few = ("--set", "data.actors=[1,2,3]", "--set", "augmentation.copies=0")
    own = ("--set", f"frontend=hf:{encoder}", "--set", "frontend.layers=[1]")
    Path("tuned.toml").write_text(recipe.read_text() + TUNED)

    emovox("demo")
    emovox("page", "--out", "site")
    emovox("predict", *clips[:4], "--jobs", "2")
    emovox("timeline", clips[0], "--no-vad", "--html", "timeline.html", "--plot", "timeline.png")
    emovox("info")
    emovox("embed", *clips[:2], "--no-vad", "--out", "embeddings.npz")
    emovox("archive", data, "--out", "archive", "--jobs", "2")
    emovox("archive-report", "archive", "--csv", "tables")
    emovox("explain", clips[0], "--no-vad", "--out", "map.html")
    emovox("data", "list", *corpus)
    emovox("train", "--recipe", recipe, *one_fold)
    emovox("train", "--recipe", "encoder", *one_fold, *few)
    emovox("train", "--recipe", "encoder", *one_fold, *few, *own, "--out", "own")
    emovox("evaluate", run, *corpus)
    emovox("evaluate", run / "fold-01" / "model.onnx", "--corpus", "ravdess", *corpus)
    emovox("adapt", "--corpus", "ravdess", *corpus, "--no-vad")
    emovox("report", run, "--maps", *corpus)
    emovox("compare", run, other)
    emovox("stress", run, *corpus, "--tests", "level", "--clips", "2", "--jobs", "2")
    emovox("export", run, *corpus, "--format", "onnx", "--fold", "02", "--out", "onnx")
    emovox("export", run, *corpus, "--format", "keras", "--out", "keras")
    emovox("tune", "--recipe", "tuned.toml", *corpus, "--protocol", "loso", "--fold", "01",
           "--trials", "1", "--set", "training.epochs=1")  # fmt: skip
    emovox("sweep", "--recipe", recipe, *one_fold, "--grid", "training.optimizer=rmsprop,adam")

    say("done")
    sys.stdin.read()


if __name__ == "__main__":  # jobs run in processes that import this file
    run_every_command(*map(Path, sys.argv[1:]))
