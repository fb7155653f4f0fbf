"""Where a study's trials are kept: a SQLite file, or any database that Optuna reaches."""

import json
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, OptunaError
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from emovox.errors import RunError

HEARTBEAT_S = 30
"""A worker that is silent for twice this long is taken for dead, and its trial counts as failed."""
ABOUT = "emovox"
_ATTEMPTS = 4


def name_sqlite(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path.absolute()}"


def open_storage(url: str) -> RDBStorage:
    """Connect to a database, and make Optuna's tables where they are missing.

    Args:
        url: As SQLAlchemy reads it, such as ``postgresql://user@host/database``.

    Returns:
        The storage.

    Raises:
        RunError: The URL names no database, or the database cannot be opened; the message does not
            show the URL's password.
    """
    shown = hide_password(url)
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
    except (SQLAlchemyError, ValueError):
        raise RunError(
            f"storage {shown}: not the URL of a database; expected such as "
            "postgresql://user@host/database"
        ) from None
    error: Exception | None = None
    for attempt in range(_ATTEMPTS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                return RDBStorage(
                    parsed.render_as_string(hide_password=False), heartbeat_interval=HEARTBEAT_S
                )
        except (SQLAlchemyError, OptunaError, RuntimeError) as found:
            # Two workers that make the tables at once get in each other's way, once.
            error = found
            time.sleep(0.1 * attempt)
        except ImportError as found:
            raise RunError(
                f"storage {shown}: its driver is not installed ({found}); "
                "pip install 'emovox[tune]' brings those of SQLite and PostgreSQL"
            ) from None
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    if parsed.password:
        reason = reason.replace(str(parsed.password), "***")
    raise RunError(
        f"storage {shown}: cannot be opened ({reason}); expected a database that this machine can "
        "reach"
    )


def hide_password(url: str) -> str:
    """Return a URL for people: without its password, or nothing of it where that is unclear."""
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):
        scheme, found, rest = url.partition("://")
        return f"{scheme}://..." if found and "@" in rest else repr(url)
    # A password may be in the options too.
    return parsed.set(query={}).render_as_string(hide_password=True)


def open_study(
    storage: RDBStorage, name: str, about: Mapping[str, str], *, maximize: bool
) -> optuna.Study:
    """Open a study, or make it.

    Args:
        storage: Where it is kept.
        name: Its name there.
        about: What its trials depend on, by name; has to be as it was when the study was made.
        maximize: Whether more is better.

    Returns:
        The study.

    Raises:
        RunError: There is one of this name, and it is about something else.
    """
    try:
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize" if maximize else "minimize"
        )
    except DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage)
    else:
        study.set_user_attr(ABOUT, json.dumps(dict(about)))
        return study
    found = read_about(study)
    different = [key for key in {**found, **about} if found.get(key) != about.get(key)]
    if different:
        raise RunError(
            f"study {name!r} was started with another {' and '.join(different)}; go on with what "
            "it was started with, or name a new one by --study"
        )
    return study


def read_about(study: optuna.Study) -> dict[str, Any]:
    """Read what a study is about; wait where another worker is just creating it."""
    for _ in range(_ATTEMPTS):
        text = study.user_attrs.get(ABOUT)
        if text is not None:
            found: dict[str, Any] = json.loads(text)
            return found
        time.sleep(0.2)
    raise RunError(
        f"study {study.study_name!r} is not one of emovox tune; name a new one by --study"
    )
