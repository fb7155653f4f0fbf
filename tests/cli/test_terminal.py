"""Text reaches the terminal through one module only."""

import ast
from pathlib import Path

import pytest

import emovox.cli
from emovox.cli.terminal import echo, echo_json

CLI = Path(emovox.cli.__file__).parent


def test_no_other_module_prints() -> None:
    printing = {"typer.echo", "print", "sys.stdout.write", "sys.stderr.write"}
    found = [
        f"{path.name}:{node.lineno}"
        for path in CLI.glob("*.py")
        if path.name != "terminal.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in printing
    ]
    assert found == []


def test_a_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    echo("a\x1b[2J\nb")
    echo(Path("c\u202e"), err=True)
    assert capsys.readouterr() == ("a\\x1b[2J\\nb\n", "c\\u202e\n")


def test_json_has_no_lone_surrogates(capsys: pytest.CaptureFixture[str]) -> None:
    echo_json({"a\udcff": ["\udc80", ("\U0001f480",)], "n": 1}, indent=None)
    assert capsys.readouterr().out == (
        '{"a\\\\udcff": ["\\\\udc80", ["\\ud83d\\udc80"]], "n": 1}\n'
    )
