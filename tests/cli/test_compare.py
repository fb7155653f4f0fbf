"""``emovox compare``: the difference, its interval, and in words what follows."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_compare_prints_differences_and_a_verdict(
    call: Callable[..., Any], tiny_runs: tuple[Path, Path]
) -> None:
    answer = call("compare", *tiny_runs)
    assert (answer.status, answer.stderr) == (0, "")
    lines = answer.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    title, rows, verdict = lines[0], lines[1:4], " ".join(lines[4:])
    assert title == ("custom-tiny v1, speaker-independent; tiny-rmsprop minus tiny-adam, in points")
    assert [row[:2] for row in rows] == ["WA", "UA", "F1"]
    number = r"([+-]?\d+\.\d)"
    for row in rows:
        match = re.fullmatch(
            rf".. +{number} +{number} +{number}  \(95% interval {number} to {number}\)", row
        )
        assert match is not None, row
        first, second, difference, low, high = map(float, match.groups())
        assert abs(first - second - difference) < 0.11
        assert low <= difference <= high
    assert "tiny-rmsprop" in verdict or "tiny-adam" in verdict


def test_compare_as_json_agrees_with_the_table(
    call: Callable[..., Any], tiny_runs: tuple[Path, Path]
) -> None:
    found = json.loads(call("compare", *tiny_runs, "--format", "json").stdout)
    assert found["protocol"] == "custom-tiny v1, speaker-independent"
    table = call("compare", *tiny_runs).stdout.splitlines()
    assert " ".join(table[4:]) == found["verdict"]
    assert found["test"] is None
    assert [len(seeds) for seeds in found["wa_of_seeds"]] == [1, 1]
    swapped = call("compare", *reversed(tiny_runs)).stdout.splitlines()
    assert float(swapped[1].split()[3]) == -float(table[1].split()[3])


def test_a_run_does_not_differ_from_itself(
    call: Callable[..., Any], tiny_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    copy = shutil.copytree(tiny_runs[0], tmp_path / "copy")
    answer = call("compare", tiny_runs[0], copy)
    assert answer.status == 0
    rows = [row for row in answer.stdout.splitlines() if row[:2] in ("WA", "UA", "F1")]
    assert len(rows) == 3
    for row in rows:
        assert row.endswith(" +0.0  (95% interval +0.0 to +0.0)")
    # Both have the same recipe, so that only their folders tell them apart.
    assert f"{tiny_runs[0]} minus {copy}" in " ".join(answer.stdout.split())


def test_runs_of_two_protocols_are_not_compared(
    call: Callable[..., Any], tiny_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(tiny_runs[0], tmp_path / "copy"))
    metrics = (copy / "metrics.json").read_text()
    (copy / "metrics.json").write_text(metrics.replace("custom-tiny", "custom-other"))
    answer = call("compare", tiny_runs[0], copy)
    assert (answer.status, answer.stdout) == (1, "")
    assert "scores are only compared within one protocol" in answer.stderr


def test_several_seeds_of_each_are_named_in_any_order(
    call: Callable[..., Any], tiny_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    copies = []
    for run in tiny_runs:
        copy = Path(shutil.copytree(run, tmp_path / run.name))
        recipe = (copy / "recipe.toml").read_text()
        (copy / "recipe.toml").write_text(recipe.replace("seed = 0", "seed = 1"))
        copies.append(copy)
    answer = call("compare", *tiny_runs, *reversed(copies))
    assert (answer.status, answer.stderr) == (0, "")
    lines = answer.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    number = r"(\d+\.\d)"
    for line, name in zip(lines[4:6], ("tiny-rmsprop", "tiny-adam"), strict=True):
        match = re.fullmatch(f"WA of each seed of {name}: {number} {number}", line)
        assert match is not None
        assert match[1] == match[2]
    assert " ".join(lines[6:]).endswith("taken over 2 seeds each).")
    refused = call("compare", tiny_runs[0], tiny_runs[1], copies[0])
    assert (refused.status, refused.stdout) == (1, "")
    assert "found 2 trainings of tiny-rmsprop and 1 of tiny-adam" in refused.stderr
