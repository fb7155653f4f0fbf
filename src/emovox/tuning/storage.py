"""Storage of a study's trials: a SQLite file, or any other database supported by Optuna."""

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
"""A worker that is silent for twice this long counts as dead, and its trial as failed."""
ABOUT = "emovox"
_ATTEMPTS = 4


def name_sqlite(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path.absolute()}"


def open_storage(url: str) -> RDBStorage:
    """Connect to a database, and create Optuna's tables if missing.

    Args:
        url: SQLAlchemy URL, such as ``postgresql://user@host/database``.

    Returns:
        The storage.

    Raises:
        RunError: The URL is not that of a database, or the database cannot be opened; the message
            does not show the URL's password.
    """
    shown = hide_password(url)
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
    except (SQLAlchemyError, ValueError):
        raise RunError(
            f"storage {shown}: not the URL of a database; expected for example "
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
            # If two workers create the tables at the same time, one of them fails; retry once.
            error = found
            time.sleep(0.1 * attempt)
        except ImportError as found:
            raise RunError(
                f"storage {shown}: its driver is not installed ({found}); "
                "pip install 'emovox[tune]' installs those of SQLite and PostgreSQL"
            ) from None
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    if parsed.password:
        reason = reason.replace(str(parsed.password), "***")
    raise RunError(
        f"storage {shown}: cannot be opened ({reason}); expected a database that this machine can "
        "reach"
    )


def hide_password(url: str) -> str:
    """Return a URL without its password, or a placeholder if it cannot be parsed."""
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):
        scheme, found, rest = url.partition("://")
        return f"{scheme}://..." if found and "@" in rest else repr(url)
    # The options may contain a password too.
    return parsed.set(query={}).render_as_string(hide_password=True)


def open_study(
    storage: RDBStorage, name: str, about: Mapping[str, str], *, maximize: bool
) -> optuna.Study:
    """Open a study, or create it.

    Args:
        storage: Storage of the study.
        name: Name of the study.
        about: Everything that the trials depend on; must be the same as when the study was created.
        maximize: Whether higher scores are better.

    Returns:
        The study.

    Raises:
        RunError: A study of this name exists with another ``about``.
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
            f"study {name!r} was started with another {' and '.join(different)}; continue "
            "with the same one, or name a new study with --study"
        )
    return study


def read_about(study: optuna.Study) -> dict[str, Any]:
    """Read what a study's trials depend on; wait if another worker is just creating it."""
    for _ in range(_ATTEMPTS):
        text = study.user_attrs.get(ABOUT)
        if text is not None:
            found: dict[str, Any] = json.loads(text)
            return found
        time.sleep(0.2)
    raise RunError(
        f"study {study.study_name!r} was not created by emovox tune; name a new one with --study"
    )
