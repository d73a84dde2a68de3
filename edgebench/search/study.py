"""The study: trials in a database that several processes, or machines, can share.

A running trial tells the database every few seconds that it is alive. One of a process that has died falls
silent, and its settings are tried again.
"""

from __future__ import annotations

import json
import logging
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import MeasurementError, ModelError, UsageError
from edgebench.search.point import Point
from edgebench.search.space import Settings, Space

if TYPE_CHECKING:
    import optuna
    import sqlalchemy

# What settings may be to blame for. Anything else, such as a lost link, ends the search.
OF_SETTINGS = (ModelError, MeasurementError)
DIRECTIONS = ("minimize", "minimize", "minimize")  # Point.costs
HEARTBEAT_S = 20
_POINT = "point"
_WHY_NOT = "why_not"
_SAME_AS = "same_as"  # of a trial whose settings had been tried before: no file, and nothing of the budget
_SUBJECT = "subject"
_SPACE = "space"


def open_study(
    url: str, name: str, *, subject: str, space: Callable[[], Space]
) -> tuple[optuna.Study, Space]:
    """The study of this name in the database at ``url``, made where there is none, and its space.

    ``subject``: what was asked (parent, device, clips, schemes), as text: a study answers one question.
    ``space`` is asked for a new study's space; what it measures may differ a little from machine to machine,
    so whoever joins a study searches the space that is stored there. Raises UsageError for a database that
    cannot be opened, and for a study of another subject.
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
            "sqlite:///search.db or postgresql+psycopg2://user@host/name, whose driver is of the extra "
            "edgebench[postgresql]."
        ) from None
    stored = study.user_attrs
    if _SUBJECT in stored and stored[_SUBJECT] != subject:
        raise UsageError(
            f"study {name!r} of {url} was made for another {_SUBJECT}: {stored[_SUBJECT]}. Give another "
            "--study, or the same model, device, clips and schemes."
        )
    if _SUBJECT in stored and _SPACE in stored:
        return study, Space(json.loads(stored[_SPACE]))
    chosen = space()
    for parameters in chosen.starts():
        study.enqueue_trial(parameters, skip_if_exists=True)
    study.set_user_attr(_SPACE, chosen.described())
    study.set_user_attr(_SUBJECT, subject)  # last: a study without it is made anew
    return study, chosen


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
    """Settings that count against the budget: those that gave a point, and those that gave a reason."""
    return len(_tried(study))


def _tried(study: optuna.Study) -> set[str]:
    return {point.settings for point in points(study)} | set(refused(study))


def search(
    study: optuna.Study,
    space: Space,
    make: Callable[[Settings], Point],
    *,
    budget: int,
    told: Callable[[], None],
) -> None:
    """Try settings until the study, with whoever shares it, has tried ``budget`` of them, or all there are.

    ``make(settings)`` builds and measures one file; an error of ``OF_SETTINGS`` is a trial without a point.
    Any other error is raised, and the settings wait in the study for whoever goes on with it.
    Where the sampler proposes settings that were tried, new ones near a point of the front are tried next.
    ``told`` is called after each trial.
    """
    import optuna  # noqa: PLC0415

    def objective(trial: optuna.trial.Trial) -> tuple[float, ...]:
        settings = space.suggest(trial)
        tried = _tried(study)
        if settings.text() in tried:
            trial.set_user_attr(_SAME_AS, settings.text())
            start = random.choice(study.best_trials or [trial])  # noqa: S311
            if (params := space.neighbour(start.params, tried)) is not None:
                study.enqueue_trial(params)
            known = {point.settings: point.costs for point in points(study)}
            if settings.text() in known:
                return known[settings.text()]
            raise optuna.TrialPruned
        try:
            point = make(settings)
        except OF_SETTINGS as error:
            trial.set_user_attr(_WHY_NOT, [settings.text(), str(error)])
            raise optuna.TrialPruned from None
        except BaseException:
            study.enqueue_trial(trial.params)
            raise
        trial.set_user_attr(_POINT, point.to_json())
        return point.costs

    while finished(study) < min(budget, space.size):
        _watch_silent_trials(study)
        study.optimize(objective, n_trials=1)
        told()


def _watch_silent_trials(study: optuna.Study) -> None:
    """Write a first sign of life for running trials that have none.

    Their processes may have died before they wrote one, and Optuna misses only a trial that has fallen
    silent. One that lives writes its own signs over this one.
    """
    from optuna.trial import TrialState  # noqa: PLC0415
    from sqlalchemy import text  # noqa: PLC0415

    storage = study._storage
    # A storage that is cached keeps the database behind it.
    database = getattr(storage, "_backend", storage)
    running = {trial._trial_id for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))}
    if not running:
        return
    with database.engine.connect() as connection:
        alive = {row[0] for row in connection.execute(text("SELECT trial_id FROM trial_heartbeats"))}
    for trial_id in running - alive:
        database.record_heartbeat(trial_id)


def _quiet() -> None:
    """Optuna tells of every trial, and warns that what is used here may change: its range is pinned."""
    import optuna  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def default_storage(folder: Path) -> str:
    """The database of a search that names none: a file in its folder."""
    return f"sqlite:///{folder / 'search.db'}"
