"""The notebook runs, is committed with its outputs, and uses the public API alone."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import emovox

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
NOTEBOOK = NOTEBOOKS / "speech_emotion_recognition.ipynb"
ALLOWED_PACKAGES = {"emovox", "numpy", "matplotlib", "keras", *sys.stdlib_module_names}


def read_code_cells(path: Path) -> list[nbformat.NotebookNode]:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def find_foreign_names(tree: ast.Module) -> list[str]:
    """Return imports that are not allowed, and names of emovox that are not public."""
    foreign = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            foreign += [n for n in names if n.split(".")[0] not in ALLOWED_PACKAGES]
            foreign += [n for n in names if n.startswith("emovox.")]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or "."
            if module == "emovox":
                foreign += [a.name for a in node.names if a.name not in emovox.__all__]
            elif module.split(".")[0] not in ALLOWED_PACKAGES or module.startswith("emovox."):
                foreign.append(module)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "emovox"
            and node.attr not in emovox.__all__
        ):
            foreign.append(f"emovox.{node.attr}")
    return foreign


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import emovox\nemovox.load_recipe('vanilla')", []),
        ("import emovox.experiments.finished", ["emovox.experiments.finished"]),
        ("from emovox.experiments.finished import export_run", ["emovox.experiments.finished"]),
        ("from emovox import runs, Recognizer", ["runs"]),
        ("import emovox\nemovox.runs.export_run", ["emovox.runs"]),
        ("import torch\nfrom sklearn.metrics import f1_score", ["torch", "sklearn.metrics"]),
    ],
)
def test_foreign_names_are_found(source: str, found: list[str]) -> None:
    assert find_foreign_names(ast.parse(source)) == found


def test_notebook_uses_public_names_only() -> None:
    source = "\n".join(cell.source for cell in read_code_cells(NOTEBOOK))
    assert find_foreign_names(ast.parse(source)) == []


def test_committed_notebook_has_the_outputs_of_one_clean_run() -> None:
    cells = read_code_cells(NOTEBOOK)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    # The first cell only imports and sets up.
    assert [cell.id for cell in cells if not cell.outputs] == ["setup"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data"}
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 6
    assert NOTEBOOK.stat().st_size < 1_500_000


@pytest.mark.corpus
@pytest.mark.slow
def test_notebook_runs_end_to_end(ravdess: Path, tmp_path: Path) -> None:
    before = NOTEBOOK.read_bytes()
    out = tmp_path / "executed.ipynb"
    done = subprocess.run(
        [sys.executable, str(NOTEBOOKS / "run.py"), "--out", str(out)],
        env={**os.environ, "EMOVOX_DATA": str(ravdess), "EMOVOX_NOTEBOOK_EPOCHS": "2"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert done.returncode == 0, done.stderr
    cells = {cell.id: cell for cell in read_code_cells(out)}
    assert "speaker-dependent, 1 seed, 36 clips of 4 speakers" in cells["scores"].outputs[0].text
    assert cells["load-keras"].outputs[0].text.count("at most 1e-4: True") == 2
    assert "speaker-independent" in cells["test-new-voices"].outputs[0].text
    assert NOTEBOOK.read_bytes() == before
