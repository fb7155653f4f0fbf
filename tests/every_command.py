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


data, recipe, run, other, encoder = map(Path, sys.argv[1:])
clips = sorted(data.rglob("*.wav"))
recognizer = Recognizer.load()
recognizer.predict(clips[0])
say("loaded")

CORPUS = ("--data", data)
ONE_FOLD = (*CORPUS, "--protocol", "loso", "--splits", "1", "--set", "training.epochs=1")
FEW = ("--set", "data.actors=[1,2,3]", "--set", "augmentation.copies=0")
OWN = ("--set", f"frontend=hf:{encoder}", "--set", "frontend.layers=[1]")
Path("tuned.toml").write_text(recipe.read_text() + TUNED)

emovox("demo")
emovox("predict", *clips[:4], "--jobs", "2")
emovox("explain", clips[0], "--no-vad", "--out", "map.html")
emovox("data", "list", *CORPUS)
emovox("train", "--recipe", recipe, *ONE_FOLD)
emovox("train", "--recipe", "encoder", *ONE_FOLD, *FEW)
emovox("train", "--recipe", "encoder", *ONE_FOLD, *FEW, *OWN, "--out", "own")
emovox("evaluate", run, *CORPUS)
emovox("evaluate", run / "fold-01" / "model.onnx", "--corpus", "ravdess", *CORPUS)
emovox("report", run, "--maps", *CORPUS)
emovox("compare", run, other)
emovox("stress", run, *CORPUS, "--tests", "level", "--clips", "2", "--jobs", "2")
emovox("export", run, *CORPUS, "--format", "onnx", "--fold", "02", "--out", "onnx")
emovox("export", run, *CORPUS, "--format", "keras", "--out", "keras")
emovox("tune", "--recipe", "tuned.toml", *CORPUS, "--protocol", "loso", "--fold", "01",
       "--trials", "1", "--set", "training.epochs=1")  # fmt: skip
emovox("sweep", "--recipe", recipe, *ONE_FOLD, "--grid", "training.optimizer=rmsprop,adam")

say("done")
sys.stdin.read()
