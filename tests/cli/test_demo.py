"""``emovox demo``: works at once, without a network and without what trains."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emovox.demo.clips import read_demo_clips


def test_every_clip_has_a_row_and_a_player(call: Callable[..., Any]) -> None:
    answer = call("demo")
    assert (answer.status, answer.stderr) == (0, "")
    head, *rows = answer.stdout.splitlines()[:13]
    assert head.split() == "file intended listeners heard predicted confidence".split()
    assert max(map(len, answer.stdout.splitlines())) <= 80
    agreed = uncertain = 0
    for row, clip in zip(rows, read_demo_clips(), strict=True):
        file, intended, heard, votes, _, listeners, predicted, confidence = row.split()
        assert (file, intended, heard) == (clip.file, clip.intended, clip.heard)
        assert (int(votes), int(listeners)) == (clip.votes, clip.listeners)
        assert 0.125 <= float(confidence) <= 1
        agreed += predicted == heard
        uncertain += predicted == "uncertain"
    assert re.search(
        rf'^{agreed} of 12 predictions .* {uncertain} are "uncertain"', answer.stdout, re.MULTILINE
    )
    assert Path("demo.html").read_text(encoding="utf-8").count("<audio") == 12


def test_the_page_goes_where_it_is_reported(call: Callable[..., Any], tmp_path: Path) -> None:
    page = tmp_path / "new" / "listen.html"
    answer = call("demo", "--out", page)
    assert answer.stdout.endswith(f"To listen, open {page} in a browser.\n")
    assert page.is_file()
    assert not Path("demo.html").exists()


def test_a_page_that_cannot_be_written_costs_only_the_page(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    answer = call("demo", "--out", tmp_path / "file" / "demo.html")
    assert answer.status == 1
    assert "12 predictions" in answer.stdout
    assert len(answer.stderr.splitlines()) == 1
