"""Two workers share a study in a real PostgreSQL server, started for this test."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

PASSWORD = "not-to-be-seen"  # noqa: S105
N_TRIALS = 8
RECIPE = """
name = "tiny"
network = { conv_channels = [4], dense_units = [8] }
training = { batch_size = 16, epochs = 1 }
[frontend]
sample_rate_hz = 8000
n_fft = 256
hop_samples = 128
image_height = 16
image_width = 16
[tune.space]
"training.learning_rate" = { low = 1e-4, high = 0.1, log = true }
"""


def find_programs() -> Path:
    """Return the folder of PostgreSQL's programs, or skip."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    pytest.skip("PostgreSQL is not installed (apt install postgresql)")


def find_user() -> dict[str, Any]:
    """Return who runs the server: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    import pwd

    try:
        pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Return the URL of a database on a server that lives as long as the test."""
    programs, user = find_programs(), find_user()
    # Not tmp_path: its folders are root's alone, and too deep for a socket's name.
    folder = Path(tempfile.mkdtemp(prefix="emovox-pg-"))
    if user:
        shutil.chown(folder, user["user"], user["group"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "password").write_text(PASSWORD)
    settings: dict[str, Any] = {"check": True, "cwd": folder, "timeout": 60, **user}
    settings |= {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    made = ["--auth=scram-sha-256", "--username=emovox", f"--pwfile={folder / 'password'}"]
    data = folder / "data"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
    try:
        subprocess.run([programs / "initdb", "-D", data, "--no-sync", *made], **settings)
        start: list[Any] = [programs / "pg_ctl", "-D", data, "-o", options, "-w"]
        start += ["-l", folder / "log"]
        subprocess.run([*start, "start"], **settings)
        try:
            yield f"postgresql://emovox:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([programs / "pg_ctl", "-D", data, "-m", "fast", "stop"], **settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_two_workers_share_a_study(server: str, tiny_corpus: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    command: list[Any] = [sys.executable, "-m", "emovox", "tune", "--recipe", recipe]
    command += ["--data", tiny_corpus]
    command += ["--protocol", "loso", "--fold", "01", "--fold", "02", "--jobs", "1"]
    command += ["--trials", str(N_TRIALS), "--storage", server]
    workers = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        workers.append(
            subprocess.Popen(
                command,
                cwd=tmp_path / name,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    answers = [worker.communicate(timeout=240) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], answers
    tried = [
        {
            int(line.split("trial ")[1].split(":")[0])
            for line in stderr.splitlines()
            if ", trial " in line
        }
        for _, stderr in answers
    ]
    # Each did some of the trials, no trial was done twice, and nobody did too many.
    assert all(tried)
    assert tried[0].isdisjoint(tried[1])
    assert N_TRIALS <= len(tried[0] | tried[1]) <= N_TRIALS + 1

    import optuna

    url = server.replace("postgresql:", "postgresql+psycopg:")
    study = optuna.load_study(study_name="tune-tiny-loso", storage=url)
    assert {trial.number for trial in study.trials} == tried[0] | tried[1]
    rates = [trial.params["training.learning_rate"] for trial in study.trials]
    assert len(set(rates)) == len(rates)

    for name, (stdout, stderr) in zip(("one", "other"), answers, strict=True):
        assert PASSWORD not in stdout + stderr
        left = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        assert {path.name for path in left} == {"trials.json", "tune.html", "winner.toml"}
        assert all(PASSWORD not in path.read_text() for path in left)


def test_a_wrong_password_is_not_repeated(server: str) -> None:
    from emovox.errors import RunError
    from emovox.tuning.storage import open_storage

    with pytest.raises(RunError, match="cannot be opened.*password authentication") as caught:
        open_storage(server.replace(PASSWORD, "mistyped-secret"))
    assert "mistyped-secret" not in str(caught.value)
