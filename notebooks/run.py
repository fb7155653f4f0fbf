"""Run the notebook and keep its outputs: `python notebooks/run.py`, or `make notebook`.

The outputs are written only when every cell ended well, wrote nothing to stderr, and shows no
folder of this machine. Fewer epochs: set EMOVOX_NOTEBOOK_EPOCHS.
"""

import argparse
import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

from emovox.files import write_text

NOTEBOOK = Path(__file__).with_name("speech_emotion_recognition.ipynb")
MAX_BYTES = 1_500_000
CELL_TIMEOUT_S = 1_800
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class NotebookError(Exception):
    """Outputs that must not be kept."""


def main() -> None:
    """Parse the command line, run the notebook, write it."""
    parser = argparse.ArgumentParser(description="Run the notebook and keep its outputs.")
    parser.add_argument("--out", type=Path, default=NOTEBOOK, help="default: the notebook itself")
    out = parser.parse_args().out
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    run_notebook(notebook)
    strip_metadata(notebook)
    check_outputs(notebook)
    text = nbformat.writes(notebook) + "\n"
    if len(text) > MAX_BYTES:
        raise NotebookError(f"{out}: {len(text):,} bytes; expected at most {MAX_BYTES:,}")
    write_text(out, text)


def run_notebook(notebook: NotebookNode) -> None:
    """Run every cell, in a fresh kernel of this interpreter and an empty folder."""
    with tempfile.TemporaryDirectory(prefix="emovox-notebook-") as folder:
        config = Config()
        # No installed kernels: the one that is left is this interpreter's.
        config.KernelSpecManager.kernel_dirs = []
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            config=config,
            timeout=CELL_TIMEOUT_S,
            coalesce_streams=True,
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        env = {**os.environ, "IPYTHONDIR": folder, "TMPDIR": folder}
        if env.get("EMOVOX_DATA"):
            # The kernel runs elsewhere.
            env["EMOVOX_DATA"] = str(Path(env["EMOVOX_DATA"]).resolve())
        client.execute(env=env)


def strip_metadata(notebook: NotebookNode) -> None:
    """Leave out what differs from run to run and says nothing to a reader."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = NotebookNode()
        for output in cell.get("outputs", []):
            if output.output_type in ("display_data", "execute_result"):
                output.metadata = NotebookNode()


def check_outputs(notebook: NotebookNode) -> None:
    """Refuse outputs with stderr, sound, or a folder of this machine.

    Raises:
        NotebookError: Names the cell and what is in it.
    """
    folders = [tempfile.gettempdir(), str(Path.home()), str(Path.cwd()), str(NOTEBOOK.parent)]
    if os.environ.get("EMOVOX_DATA"):
        folders.append(str(Path(os.environ["EMOVOX_DATA"]).resolve()))
    machine_path = re.compile("|".join(rf"(?<![\w/]){re.escape(f)}(?!\w)" for f in folders))
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            texts = {k: str(v) for k, v in output.get("data", {}).items()}
            texts["text"] = output.get("text", "")
            if output.get("name") == "stderr":
                raise NotebookError(f"cell {cell.id} wrote to stderr: {texts['text'][:500]}")
            for kind, text in texts.items():
                if kind.startswith("audio/") or "<audio" in text:
                    raise NotebookError(f"cell {cell.id} embeds audio; the corpus is not ours")
                found = None if kind.startswith("image/") else machine_path.search(text)
                if found:
                    raise NotebookError(f"cell {cell.id} shows the folder {found.group()}")


if __name__ == "__main__":
    main()
