"""``emovox page``: the web page as a static folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_the_command_names_what_it_wrote(call: Callable[..., Any]) -> None:
    answer = call("page", "--out", "site")
    assert (answer.status, answer.stderr) == (0, "")
    assert answer.stdout.startswith("site/index.html (")
    assert Path("site/model/model.onnx").is_file()
