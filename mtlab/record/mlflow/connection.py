"""The connection to MLflow's store: whether it can be opened, and how long to wait for it."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault(
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"
)  # MLflow would print the address of every run, with its password

import sqlalchemy
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from mlflow.store import db_migrations
from mlflow.tracking import MlflowClient

from mtlab.plan.errors import Busy, UserError
from mtlab.record.mlflow.address import (
    DEFAULT_URI,
    absolute,
    database_file,
    reason,
    without_credentials,
)

for name in ("alembic", "mlflow.store.db.utils"):
    logging.getLogger(name).setLevel(logging.WARNING)  # a new database needs no message
logging.getLogger("urllib3.connectionpool").setLevel(
    logging.ERROR
)  # mtlab itself reports an unreachable server, once


OPENING_S, WORKING_S = 5, 30
"""Seconds that mtlab waits for a server that does not answer: while the store is opened, and later.
The user can set another time."""

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
"""Schemes of addresses, with or without a driver's name, that MLflow opens as databases."""

OTHER_RELEASE = "out-of-date database schema"
"""MLflow's message about tables of another release of MLflow."""


def look(uri: str, experiment: str) -> None:
    """Check whether an experiment's store can be opened, without changing it.

    A database is read without MLflow, which would create missing tables.

    Raises:
        Busy: it cannot be reached now.
        UserError: its address is wrong, or the experiment was deleted there.
    """
    try:
        if _is_database(uri):
            stages = _look_into(uri, experiment) or {}
        else:
            with patience(OPENING_S):
                stored_experiment = MlflowClient(absolute(uri)).get_experiment_by_name(experiment)
            stages = (
                {stored_experiment.experiment_id: stored_experiment.lifecycle_stage}
                if stored_experiment
                else {}
            )
    except Exception as error:  # as in Store.open
        raise refusal(uri, error) from None
    see_active(uri, experiment, stages)


def has_no_tables(uri: str, experiment: str) -> bool:
    """Whether MLflow will create its tables in a database.

    Raises:
        Exception: the database cannot be used; MLflow itself would retry for minutes before it
            fails.
    """
    file = database_file(uri)
    if file is not None and not file.exists():
        return True
    return _is_database(uri) and _look_into(uri, experiment) is None


def _is_database(uri: str) -> bool:
    return uri.partition(":")[0].partition("+")[0] in DATABASES


def see_active(uri: str, experiment: str, stages: dict[str, str]) -> None:
    """Refuse a deleted experiment, whose name MLflow still keeps; ``stages`` maps ids of that name
    to their stages.
    """
    if stages and "active" not in stages.values():
        remedy = f"`mlflow experiments restore -x {next(iter(stages))}`, or choose another --name"
        raise UserError(
            f"experiment {experiment} was deleted in MLflow at {without_credentials(uri)}",
            remedy,
            code="experiment-deleted",
        )


def _look_into(uri: str, experiment: str) -> dict[str, str] | None:
    """Read a database whose tables, if it has any, should be those of the installed release of
    MLflow.

    Returns:
        The ids of experiments of that name, and whether each is ``active`` or ``deleted``; None
        where tables are missing.

    Raises:
        Exception: any error of the database, or of tables of another release.
    """
    file = database_file(uri)
    # not `ro`: opening the file rolls back what a killed process left half-written
    address = (
        sqlalchemy.URL.create("sqlite", database=file.as_uri(), query={"mode": "rw", "uri": "true"})
        if file
        else uri
    )
    engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        versions = MigrationContext.configure(connection).get_current_heads()
        if not versions:
            return None
        wanted = ScriptDirectory(str(Path(db_migrations.__file__).parent)).get_heads()
        if set(versions) != set(wanted):
            raise OSError(
                f"{OTHER_RELEASE} (version {', '.join(versions)}, not {', '.join(wanted)})"
            )
        named = sqlalchemy.text(
            "select experiment_id, lifecycle_stage from experiments where name = :name"
        )
        return {
            str(key): str(stage) for key, stage in connection.execute(named, {"name": experiment})
        }


def refusal(uri: str, error: Exception) -> UserError:
    """The user's message for a store that cannot be opened."""
    store, why = f"MLflow at {without_credentials(uri)}", reason(error, uri)
    if _may_pass(uri, error):
        return Busy(f"{store} cannot be reached ({why})", "check that it runs", code="unreachable")
    problem = f"{store} cannot be used ({why})"
    remedy = f"set MLFLOW_TRACKING_URI to {DEFAULT_URI}, or unset it, to log to a database here"
    file = database_file(uri)
    if OTHER_RELEASE in str(error):
        remedy = "copy it, then bring it up to date with `mlflow db upgrade`; or set MLFLOW_TRACKING_URI to another one"
    elif file is not None and file.exists():
        remedy = "move it away, or set MLFLOW_TRACKING_URI to another one"
    return UserError(problem, remedy, code="bad-address")


def _may_pass(uri: str, error: Exception) -> bool:
    """Whether a store that failed may work later at the same address: a server does not answer, or
    a database is locked.
    """
    text = str(error)
    if uri.startswith(("http://", "https://")):
        return any(
            sign in text
            for sign in ("Max retries", "Connection", "timed out", "too many 5", "error code 5")
        )
    return (
        "is locked" in text
        or "could not connect" in text
        or "Can't connect" in text
        or "Connection refused" in text
    )


def alone(uri: str) -> AbstractContextManager[object]:
    """Let only one process at a time open a database file: two that create its tables at once break
    it.
    """
    file = database_file(uri)
    if file is None:
        return nullcontext()
    name = hashlib.sha256(str(file).encode()).hexdigest()[:16]
    return FileLock(
        Path(tempfile.gettempdir())
        / f"mtlab-{os.getuid() if hasattr(os, 'getuid') else 0}-{name}.lock",
        timeout=30,
    )


@contextmanager
def patience(seconds: int = WORKING_S) -> Iterator[None]:
    """Within the block, MLflow waits only ``seconds`` for a server, unless the user has set another
    time; its own default is many minutes.
    """
    wanted = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds)}
    ours = {key: value for key, value in wanted.items() if key not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key in ours:
            os.environ.pop(key, None)
