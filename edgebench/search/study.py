"""The study: trials in a database that several processes, or machines, can share.

A process that dies leaves a trial that is running for nobody; the database's heartbeat finds it, and its
parameters are tried again.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import EdgebenchError, UsageError
from edgebench.search.point import Point
from edgebench.search.space import Settings, Space

if TYPE_CHECKING:
    import optuna
    import sqlalchemy

DIRECTIONS = ("minimize", "minimize", "minimize")  # Point.costs
HEARTBEAT_S = 20
_POINT = "point"
_WHY_NOT = "why_not"
_SAME_AS = "same_as"
_SUBJECT = "subject"


def open_study(url: str, name: str, *, space: Space, subject: str) -> optuna.Study:
    """The study of this name in the database at ``url``, made where there is none.

    ``subject``: what was asked (parent, device, clips), as text: a study answers one question. Raises
    UsageError for a database that cannot be opened, and for a study of another subject or space.
    """
    import optuna  # noqa: PLC0415
    from sqlalchemy import event  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError  # noqa: PLC0415

    _quiet()
    logging.getLogger("alembic").setLevel(logging.ERROR)
    try:
        storage = optuna.storages.RDBStorage(
            url,
            heartbeat_interval=HEARTBEAT_S,
            grace_period=3 * HEARTBEAT_S,
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=2),
        )
        if url.startswith("sqlite"):
            event.listen(storage.engine, "begin", _one_at_a_time)
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=list(DIRECTIONS),
            # Without a seed: processes that share a study must not try the same settings.
            sampler=optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True),
            load_if_exists=True,
        )
    except (SQLAlchemyError, ArgumentError, ImportError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise UsageError(
            f"--storage {url}: the database cannot be opened ({line}). Give a URL such as "
            "sqlite:///search.db or postgresql+psycopg2://user@host/name."
        ) from None
    wanted = {_SUBJECT: subject, "space": space.described()}
    stored = {key: study.user_attrs.get(key) for key in wanted}
    if not any(stored.values()):
        for key, text in wanted.items():
            study.set_user_attr(key, text)
        for parameters in space.starts():
            study.enqueue_trial(parameters, skip_if_exists=True)
    elif stored != wanted:
        differing = [key for key in wanted if stored[key] != wanted[key]]
        raise UsageError(
            f"study {name!r} of {url} was made for another {' and another '.join(differing)}: "
            f"{stored[differing[0]]}. Give another --study, or the same model, device, clips and schemes."
        )
    return study


def _one_at_a_time(connection: sqlalchemy.Connection) -> None:
    """SQLite does not lock a row that is read to be changed: two processes would take one queued trial."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def points(study: optuna.Study) -> list[Point]:
    """What was measured so far, in the order of the trials."""
    trials = study.get_trials(deepcopy=False)
    return [Point(**trial.user_attrs[_POINT]) for trial in trials if _POINT in trial.user_attrs]


def refused(study: optuna.Study) -> dict[str, str]:
    """Settings that gave no point -> why."""
    trials = study.get_trials(deepcopy=False)
    return dict(trial.user_attrs[_WHY_NOT] for trial in trials if _WHY_NOT in trial.user_attrs)


def finished(study: optuna.Study) -> int:
    """Trials that count against the budget: those that gave a point or a reason, or settings tried before."""
    ended = {_POINT, _WHY_NOT, _SAME_AS}
    return len([trial for trial in study.get_trials(deepcopy=False) if ended & trial.user_attrs.keys()])


def search(
    study: optuna.Study,
    space: Space,
    make: Callable[[Settings], Point],
    *,
    budget: int,
    told: Callable[[], None],
) -> None:
    """Try settings until the study, with whoever shares it, holds ``budget`` finished trials.

    ``make(settings)`` builds and measures one file; an EdgebenchError of it is a trial without a point.
    ``told`` is called after each trial.
    """
    import optuna  # noqa: PLC0415

    def objective(trial: optuna.trial.Trial) -> tuple[float, ...]:
        settings = space.suggest(trial)
        tried = {point.settings: point for point in points(study)}
        if settings.text() in tried:
            trial.set_user_attr(_SAME_AS, settings.text())
            return tried[settings.text()].costs
        try:
            point = make(settings)
        except EdgebenchError as error:
            trial.set_user_attr(_WHY_NOT, [settings.text(), str(error)])
            raise optuna.TrialPruned from None
        trial.set_user_attr(_POINT, point.to_json())
        return point.costs

    while finished(study) < budget:
        study.optimize(objective, n_trials=1)
        told()


def _quiet() -> None:
    """Optuna tells of every trial, and warns that what is used here may change: its range is pinned."""
    import optuna  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def default_storage(folder: Path) -> str:
    """The database of a search that names none: a file in its folder."""
    return f"sqlite:///{folder / 'search.db'}"
