"""Damaged zips and run folders, hostile servers and killed trainings, for `fuzz.py`."""

import hashlib
import io
import itertools
import json
import math
import os
import shutil
import signal
import socket
import stat
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
from fuzz import LIMIT_S
from fuzz_files import SEAL, damage, draw_one

from emovox.audio.load import load_audio
from emovox.corpora.download import RemoteFile, download_file
from emovox.corpora.fetch import fetch_ravdess
from emovox.corpora.folds import Protocol
from emovox.corpora.ravdess import list_ravdess_names
from emovox.errors import CorpusError, DownloadError, EmovoxError
from emovox.experiments.export import export_run
from emovox.experiments.finished import compare_runs, evaluate_run
from emovox.experiments.folds import load_protocol
from emovox.experiments.train_and_test import run_experiment
from emovox.progress import Epoch, Watcher
from emovox.recipes.recipe import Recipe, load_recipe
from emovox.runs.predictions import read_predictions
from emovox.training import trainer
from emovox.training.features import ImageSet
from emovox.training.trainer import train_network
from emovox.training.weights import save_weights

TINY = (
    "frontend.sample_rate_hz=8000",
    "frontend.n_fft=256",
    "frontend.hop_samples=128",
    "frontend.image_height=16",
    "frontend.image_width=16",
    "network.conv_channels=[4]",
    "network.dense_units=[8]",
    "training.batch_size=8",
    "training.epochs=12",
)
CHECKPOINT = "checkpoint/last.safetensors"
DIGESTED = (b'"sha256"', SEAL)
"""In files that prove that they are whole."""


class Zips:
    """An archive with the right names, damaged or with odd entries."""

    allowed = CorpusError
    memory_mb = 600

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clip = make_tone(440)
        self.names = list_ravdess_names()
        self.check(self.write_zip({}))

    def write_zip(self, changes: dict[str, bytes | None], *extra: zipfile.ZipInfo) -> bytes:
        """Write a zip of all clips; ``None`` leaves one out."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name in self.names:
                content = changes.get(name, self.clip)
                if content is not None:
                    zipped.writestr(f"Actor_{name[-2:]}/{name}.wav", content)
            for info in extra:
                zipped.writestr(info, self.clip)
        return buffer.getvalue()

    def make(self, generator: np.random.Generator) -> bytes:
        """Damage the zip, or write another one."""
        name = draw_one(generator, self.names)
        link = zipfile.ZipInfo(f"Actor_01/{name}.wav")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        odd = [f"../{name}.wav", f"/tmp/{name}.wav", f"C:\\{name}.wav", f"x/\x1b[2J/{name}.wav"]  # noqa: S108
        whole = self.write_zip({})
        made: list[Callable[[], bytes]] = [
            lambda: damage(whole, generator),
            lambda: whole[:-4_000] + damage(whole[-4_000:], generator),
            lambda: self.write_zip({name: None}),
            lambda: self.write_zip({name: b""}),
            lambda: self.write_zip({name: b"not a recording, but text " * 100}),
            lambda: self.write_zip({name: damage(self.clip, generator)}),
            lambda: self.write_zip({name: bytes(9 << 20)}),
            lambda: self.write_zip({name: None}, link),
            lambda: self.write_zip({}, zipfile.ZipInfo(draw_one(generator, odd))),
        ]
        return draw_one(generator, made)()

    def check(self, content: bytes) -> str:
        """Install it: all clips, each of which can be decoded, or nothing."""
        with clean_folder(self.folder) as folder:
            archive, target = folder / "archive.zip", folder / "ravdess"
            archive.write_bytes(content)
            try:
                fetch_ravdess(target, archive=archive)
            except CorpusError:
                found = sorted(path.name for path in folder.iterdir())
                if found != ["archive.zip"]:
                    raise AssertionError(f"a refused zip left {found}") from None
                raise
            found = sorted(path.stem for path in target.rglob("*.*"))
            if found != sorted(self.names):
                raise AssertionError(f"{len(found)} clips were installed")
            # All others are the clip of this class.
            for path in target.rglob("*.wav"):
                if path.read_bytes() != self.clip:
                    load_audio(path, 16_000)
        return "installed"


class Downloads:
    """A server that replies anything: it is answered by the right file or by an error."""

    allowed = DownloadError
    memory_mb = 600

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = np.random.default_rng(1).bytes(20_000)
        self.checksum = f"md5:{hashlib.md5(self.file, usedforsecurity=False).hexdigest()}"
        self.check(self.reply().hex().encode())

    def reply(self, status: str = "200 OK", *headers: str, body: bytes | None = None) -> bytes:
        """Return a reply as the server sends it."""
        body = self.file if body is None else body
        headers = headers or (f"Content-Length: {len(body)}",)
        return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body

    def make(self, generator: np.random.Generator) -> bytes:
        """Draw the replies to up to seven requests, as lines of hexadecimal digits."""
        part = self.file[: int(generator.integers(len(self.file)))]
        whole = f"Content-Length: {len(self.file)}"
        status = int(generator.integers(100, 600))
        replies = [
            self.reply(),
            self.reply(body=b""),
            self.reply("200 OK", whole, body=part),
            self.reply("200 OK", "X: y", body=part),
            self.reply("200 OK", whole, body=damage(self.file, generator)[: len(self.file)]),
            self.reply("200 OK", "Content-Length: -1"),
            self.reply("200 OK", f"Content-Length: {'9' * 30}"),
            self.reply("200 OK", "Transfer-Encoding: chunked", body=b"ffffffffff\r\n" + part),
            self.reply("200 OK", "Content-Encoding: gzip", whole),
            self.reply("206 Partial Content", f"Content-Range: bytes 5-9/{len(self.file)}"),
            self.reply("206 Partial Content", "Content-Range: nonsense", body=part),
            self.reply("416 Range Not Satisfiable", "Content-Length: 0", body=b""),
            self.reply("302 Found", "Location: http://example.invalid/", body=b""),
            self.reply("302 Found", "Location: /", body=b""),
            self.reply("302 Found", "Location: file:///etc/passwd", body=b""),
            self.reply("302 Found", "Location: https://[", body=b""),
            self.reply(f"{status} \x1b[2J\x1b]0;title\x07", whole),
            self.reply(f"{status} " + "x" * 70_000, whole),
            self.reply("200 OK", *(f"X-{i}: y" for i in range(200))),
            b"",
            b"\r\n",
            generator.bytes(500),
            damage(self.reply(), generator),
        ]
        drawn = [draw_one(generator, replies) for _ in range(int(generator.integers(1, 8)))]
        return b"\n".join(reply.hex().encode() for reply in drawn)

    def check(self, content: bytes) -> str:
        """Download from a server that gives these replies, the last one again and again."""
        replies = [bytes.fromhex(line) for line in content.decode().split("\n")]
        with clean_folder(self.folder) as folder, serve(replies) as url:
            path = folder / "file.zip"
            remote = RemoteFile(url, len(self.file), self.checksum)
            try:
                download_file(remote, path, timeout_s=2)
            except DownloadError:
                if path.exists():
                    raise AssertionError("a failed download left a file") from None
                raise
            if path.read_bytes() != self.file:
                raise AssertionError("a wrong file was accepted")
        return "downloaded"


class Runs:
    """A finished run, and one with a checkpoint, in which one file is damaged."""

    allowed = EmovoxError
    memory_mb = 4_000

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        self.folder = folder / "work"
        self.data = make_corpus(folder / "data")
        self.recipe, self.protocol = make_training(self.data, folder)
        self.finished, self.broken = folder / "finished", folder / "broken"
        run_experiment(self.recipe, self.protocol, self.finished)
        with suppress(InterruptedError):
            run_experiment(self.recipe, self.protocol, self.broken, watcher=Interrupting())
        self.n_predictions = len(read_predictions(self.finished / "predictions.csv").clips)
        self.names = [p.name for p in sorted(self.finished.iterdir()) if p.name != "report.html"]

    def make(self, generator: np.random.Generator) -> bytes:
        """Damage one file; its name comes before its content."""
        name = draw_one(generator, [*self.names, CHECKPOINT])
        source = self.broken if name == CHECKPOINT else self.finished
        content = damage((source / name).read_bytes(), generator)
        return f"{int(generator.integers(3))} {name}\n".encode() + content

    def check(self, content: bytes) -> str:
        """Evaluate, compare, export or resume."""
        head, _, content = content.partition(b"\n")
        number, name = head.decode().split(" ")
        source = self.broken if name == CHECKPOINT else self.finished
        original = (source / name).read_bytes()
        with clean_folder(self.folder) as folder:
            run = folder / "run"
            shutil.copytree(source, run)
            (run / name).write_bytes(content)
            if name == CHECKPOINT:
                run_experiment(self.recipe, self.protocol, run, resume=True)
                done = "resumed"
            elif number == "0":
                evaluate_run(run, self.data)
                found = len(read_predictions(run / "predictions.csv").clips)
                if found != self.n_predictions:
                    raise AssertionError(f"{found} of {self.n_predictions} clips were evaluated")
                done = "evaluated"
            elif number == "1":
                compare_runs([run], [self.finished])
                done = "compared"
            else:
                export_run(run, "onnx", out=folder / "exported", data=self.data)
                done = "exported"
            used = {"evaluated": "model.onnx", "exported": "weights.safetensors"}
            if name == used.get(done, CHECKPOINT) and any(key in original for key in DIGESTED):
                raise AssertionError(f"{name} was used, which does not match its digest")
        return done


class Kills:
    """A training that is killed at random moments and resumed: it ends in the same bytes."""

    allowed = EmovoxError
    memory_mb = 4_000

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        # After each epoch, so that some kills meet a checkpoint that is being written.
        trainer.SAVE_SHARE = 1.0
        self.folder = folder / "work"
        self.recipe = load_recipe("optimized", [*TINY, "training.epochs=60"])
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(64, 1, 16, 16, generator=generator)
        classes = torch.arange(64) % 8
        self.sets = ImageSet(images[:48], classes[:48]), ImageSet(images[48:], classes[48:])
        with clean_folder(self.folder) as made:
            start = time.monotonic()
            self.expected = self.finish(made)
            self.length_s = time.monotonic() - start

    def make(self, generator: np.random.Generator) -> bytes:
        """Draw up to three moments, as shares of the training's time."""
        return json.dumps(generator.random(int(generator.integers(1, 4))).tolist()).encode()

    def check(self, content: bytes) -> str:
        """Kill a training at these moments, resume it, and compare weights and history."""
        with clean_folder(self.folder) as folder:
            for moment in json.loads(content):
                child = self.start(folder)
                time.sleep(moment * self.length_s)
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            if self.finish(folder) != self.expected:
                raise AssertionError("weights or history differ after a kill")
        return "same bytes"

    def start(self, folder: Path) -> int:
        """Start or resume in a copy of this process, which itself never trains, by its number."""
        child = os.fork()
        if not child:
            signal.alarm(math.ceil(LIMIT_S))  # ends it if its parent has ended
            status = 1
            with suppress(Exception):
                trained = train_network(self.recipe, *self.sets, folder, resume=True)
                save_weights(folder / "weights.safetensors", trained, 1.0)
                status = 0
            os._exit(status)
        return child

    def finish(self, folder: Path) -> tuple[bytes, list[str]]:
        """Train to the end; return the weights, and the history without the times."""
        _, status = os.waitpid(self.start(folder), 0)
        if status:
            raise AssertionError(f"the training ended with status {status}")
        history = (folder / "history.csv").read_text(encoding="utf-8").splitlines()
        weights = (folder / "weights.safetensors").read_bytes()
        return weights, [line.rpartition(",")[0] for line in history]


class Interrupting(Watcher):
    """Interrupts a training after its third epoch."""

    def end_epoch(self, epoch: Epoch) -> None:
        """Count epochs."""
        if epoch.epoch == 3:
            raise InterruptedError


@contextmanager
def clean_folder(path: Path) -> Iterator[Path]:
    """Make a folder for the block."""
    path.mkdir(exist_ok=True)
    folder = path / "case"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@contextmanager
def serve(replies: list[bytes]) -> Iterator[str]:
    """Serve on this machine: one reply to each connection, which then ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        closing = threading.Event()

        def answer() -> None:
            for number in itertools.count():
                with suppress(OSError):
                    connection, _ = server.accept()
                    with connection:
                        if closing.is_set():
                            return
                        connection.settimeout(5)
                        connection.recv(65_536)
                        connection.sendall(replies[min(number, len(replies) - 1)])
                if closing.is_set():
                    return

        thread = threading.Thread(target=answer)
        thread.start()
        port = server.getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/file.zip"
        finally:
            closing.set()
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                pass
            thread.join()


def make_tone(frequency_hz: float) -> bytes:
    """Return 0.1 s of a tone as a WAV file."""
    buffer = io.BytesIO()
    tone = 0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(800) / 8_000)
    sf.write(buffer, tone, 8_000, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def make_corpus(folder: Path) -> Path:
    """Write 48 clips under RAVDESS names, each emotion its own tone, by three actors."""
    for actor, emotion, take in itertools.product((1, 2, 3), range(1, 9), (1, 2)):
        path = folder / "ravdess" / f"Actor_{actor:02d}"
        path.mkdir(parents=True, exist_ok=True)
        name = f"03-01-{emotion:02d}-01-01-{take:02d}-{actor:02d}.wav"
        (path / name).write_bytes(make_tone(300 * emotion + 10 * actor + take))
    return folder


def make_training(data: Path, folder: Path) -> tuple[Recipe, Protocol]:
    """Return a recipe that trains in a moment, and a split by speaker."""
    roles = {"01": "train", "02": "validation", "03": "test"}
    names = sorted(path.stem for path in data.rglob("*.wav"))
    split = folder / "split.csv"
    rows = [f"{name},01,{roles[name[-2:]]}" for name in names]
    split.write_text("\n".join(["clip,fold,role", *rows]) + "\n", encoding="utf-8")
    recipe = load_recipe("optimized", list(TINY))
    return recipe, load_protocol(recipe, data, split=split)
