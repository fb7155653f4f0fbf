"""A checkout in a folder with spaces and umlauts, used by another user than root, without HOME."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOBODY = 65534
# Another user who may read root's files, among which Python may be, but write only their own.
AS_NOBODY = (
    f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups "
    "--bounding-set=-all,+dac_read_search "
    "--inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search"
).split()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of what is needed, whose environment is the one of this test."""
    copy = tmp_path / "Größe und Maß" / "emovox"
    copy.mkdir(parents=True)
    shutil.copytree(ROOT / "src", copy / "src")
    shutil.copytree(ROOT / "tests", copy / "tests")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copyfile(ROOT / name, copy / name)
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("make"), reason="make is missing")
def test_make_works_for_another_user_without_home(checkout: Path, tmp_path: Path) -> None:
    temporary = checkout / "temporary"
    temporary.mkdir()
    user: list[str] = []
    if os.geteuid() == 0:
        user = AS_NOBODY
        if subprocess.run([*user, "true"], capture_output=True, check=False).returncode != 0:
            pytest.skip("this root cannot become another user that reads all files")
        for folder in (tmp_path, *checkout.parents[:2], checkout, *checkout.rglob("*")):
            os.chown(folder, NOBODY, NOBODY, follow_symlinks=False)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": "src", "TMPDIR": str(temporary)}

    def run(*command: str) -> str:
        settings = {"capture_output": True, "text": True, "encoding": "utf-8", "timeout": 600}
        result = subprocess.run(  # type: ignore[call-overload]
            [*user, *command], cwd=checkout, env=environment, check=False, **settings
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return str(result.stdout)

    assert "demo" in run("make", "help")
    assert "predictions match what listeners heard" in run(
        "make", "--old-file=.venv/.installed", "demo"
    )
    assert (checkout / "demo.html").stat().st_size > 100_000
    clip = "src/emovox/assets/demo/1045_WSI_ANG_XX.opus"
    predicted = run(".venv/bin/python", "-m", "emovox", "predict", clip, "--format", "csv")
    assert ",angry," in predicted
    test = ("tests/recognition/test_results.py", "-p", "no:cacheprovider", "-q")
    assert " passed" in run(".venv/bin/python", "-m", "pytest", *test)
