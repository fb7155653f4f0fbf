"""Where trials are kept: what is refused, and that no message gives a password away."""

import sqlite3
from pathlib import Path

import optuna
import pytest

from emovox.errors import RunError
from emovox.tuning.storage import hide_password, name_sqlite, open_storage, open_study

ABOUT = {"recipe": "a", "space": "b"}


def test_a_sqlite_file_is_made_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    study = open_study(open_storage(name_sqlite(path)), "mine", ABOUT, maximize=True)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert path.exists()
    again = open_study(open_storage(name_sqlite(path)), "mine", ABOUT, maximize=True)
    assert again.study_name == "mine"


def test_a_study_about_something_else_is_refused(tmp_path: Path) -> None:
    storage = open_storage(name_sqlite(tmp_path / "study.db"))
    open_study(storage, "mine", ABOUT, maximize=True)
    with pytest.raises(RunError, match="'mine' was started with another space;.*--study"):
        open_study(storage, "mine", {**ABOUT, "space": "c"}, maximize=True)
    with pytest.raises(RunError, match="another recipe and space and metric"):
        open_study(storage, "mine", {"recipe": "", "space": "", "metric": ""}, maximize=True)


def test_a_study_of_another_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    storage = open_storage(name_sqlite(tmp_path / "study.db"))
    optuna.create_study(storage=storage, study_name="theirs")
    with pytest.raises(RunError, match="'theirs' was not created by emovox tune"):
        open_study(storage, "theirs", ABOUT, maximize=True)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@host/db?password=secret", "postgresql://me@host/db"),
        ("nonsense://me:sec@ret@host:port/db", "nonsense://..."),
        ("study.db", "'study.db'"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert hide_password(url) == shown


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("study.db", "'study.db': not the URL of a database"),
        ("postgresql://me:secret@127.0.0.1:1/db", r"me:\*\*\*@127.0.0.1:1/db: cannot be opened"),
        ("postgresql://me:secret@host:port/db", "not the URL of a database"),
        ("oracle://me:secret@host/db", "its driver is not installed"),
        ("nosuch://me:secret@host/db", "nosuch.*cannot be opened"),
        ("sqlite:////nowhere/at/all/study.db", "cannot be opened.*unable to open"),
    ],
)
def test_a_storage_that_cannot_be_reached_says_so(
    url: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(RunError, match=message) as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    path = tmp_path / "study.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(RunError, match="cannot be opened"):
        open_storage(name_sqlite(path))
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(path).execute("select 1 from studies")
