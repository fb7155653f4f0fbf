"""Runs every command of emovox on made clips, in one process that tests/test_privacy.py traces.

``every_command.py DATA RECIPE RUN OTHER ENCODER`` runs in an empty folder, with the fixtures
``tiny_corpus``, ``tiny_recipe_file`` and ``tiny_runs``, and a speech encoder as transformers writes
them. It prints "loaded" once onnxruntime is in use and "done" at the end, and then holds its
recogniser until its standard input ends.
"""

import json
import subprocess
import sys
from pathlib import Path

import requests

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


def serve_once(clip: Path) -> None:
    """Start the service, send it a recording and a live stream, and end it."""
    from websockets.sync.client import connect

    process = subprocess.Popen(
        [sys.executable, "-m", "emovox", "serve", "--port", "0", "--workers", "2"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    url = process.stderr.readline().split("serving on ")[1].partition(",")[0]
    for path in ("predict", "timeline", "predict?vad=false"):
        reply = requests.post(f"{url}/v1/{path}", clip.read_bytes(), timeout=600)
        reply.raise_for_status()
    with connect(url.replace("http", "ws") + "/v1/stream") as stream:
        stream.send(json.dumps({"rate_hz": 16_000}))
        stream.send(bytes(32_000))
        stream.send(json.dumps({"type": "end"}))
        assert "summary" in [json.loads(message)["type"] for message in stream]
    requests.get(url, timeout=600).raise_for_status()
    process.terminate()
    if process.wait():
        raise SystemExit(f"emovox serve: status {process.returncode}")


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
    serve_once(clips[0])
    emovox("explain", clips[0], "--no-vad", "--out", "map.html")
    emovox("data", "list", *corpus)
    emovox("train", "--recipe", recipe, *one_fold)
    emovox("train", "--recipe", "encoder", *one_fold, *few)
    emovox("train", "--recipe", "encoder", *one_fold, *few, *own, "--out", "own")
    emovox("evaluate", run, *corpus)
    emovox("evaluate", run / "fold-01" / "model.onnx", "--corpus", "ravdess", *corpus)
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
