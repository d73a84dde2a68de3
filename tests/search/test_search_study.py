"""The study of a search: its front, its budget, settings that fail, being killed, being shared."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="a search needs optuna: pip install edgebench[search]")

from support.postgres import postgres

from edgebench.errors import ConnectionFailed, ModelError, UsageError
from edgebench.search.point import Point, front
from edgebench.search.space import Settings, Space
from edgebench.search.study import default_storage, finished, open_study, points, refused, search

SPACE = Space({"int8_static": {"bits": (2, 8), "per_channel": (True, False)}})


def point(settings, *, size=1000, ratio=0.5, ua=0.0, ccc=0.0):
    return Point(
        settings=settings,
        file="files/a.onnx",
        sha256="0" * 64,
        size_bytes=size,
        ratio=ratio,
        ratio_lo=None,
        ratio_hi=None,
        verdict="VALID",
        ua_loss=ua,
        ccc_loss=ccc,
        changed=0,
        parity_max_abs=0.1,
        run_id="01A",
    )


def make(settings):
    """Fewer bits are smaller and lose more; one scale a channel costs bytes and loses less."""
    bits, per_channel = settings.overrides["bits"], settings.overrides.get("per_channel", True)
    return point(
        settings.text(),
        size=1000 * bits + 100 * per_channel,
        ratio=0.9 - 0.05 * bits,
        ua=0.1 / bits / (1 + per_channel),
    )


def opened(folder: Path, *, subject: str = "net on local", space: Space = SPACE):
    return open_study(default_storage(folder), "s", space=lambda: space, subject=subject)[0]


def test_the_front_is_what_no_other_beats_in_every_cost():
    small, fast, right = point("a", size=10), point("b", ratio=0.1), point("c", size=500, ua=-0.1)
    beaten, equal = point("d", size=600, ratio=0.6, ua=0.1), point("e", size=10)
    assert [one.settings for one in front([beaten, fast, small, equal, right])] == ["a", "b"]
    assert front([point("a", ua=0.2, ccc=0.0), point("b", ua=0.0, ccc=0.3)])[0].settings == "a"


def test_a_gain_of_accuracy_is_no_reason_to_keep_a_file():
    """Less than nothing is not lost: the sign of a difference that small is chance."""
    assert [one.settings for one in front([point("a", ua=-0.02), point("b", size=900)])] == ["b"]


def test_a_search_ends_at_its_budget_and_goes_on_from_there(tmp_path):
    told = []
    study = opened(tmp_path)
    search(study, SPACE, make, budget=3, told=lambda: told.append(finished(study)))
    assert finished(study) == 3 and sorted(set(told)) == [1, 2, 3]
    first = points(study)
    assert first[0].settings == "int8_static bits=2"  # the scheme's own value comes first
    again = opened(tmp_path)
    search(again, SPACE, make, budget=4, told=lambda: None)
    assert finished(again) == 4
    assert points(again)[: len(first)] == first


def test_settings_that_were_tried_are_not_measured_again(tmp_path):
    made = []

    def counted(settings):
        made.append(settings.text())
        return make(settings)

    study = opened(tmp_path)
    search(study, SPACE, counted, budget=7, told=lambda: None)
    assert len(made) == len(set(made)) == 4
    assert finished(study) == 4  # there are no more


def test_settings_that_give_no_file_count_and_say_why(tmp_path):
    def refuses_two_bits(settings):
        if settings.overrides["bits"] == 2:
            raise ModelError("two bits are too few.")
        return make(settings)

    study = opened(tmp_path)
    search(study, SPACE, refuses_two_bits, budget=6, told=lambda: None)
    assert finished(study) == 4
    assert set(refused(study).values()) == {"two bits are too few."}
    assert all("bits=2" not in one.settings for one in points(study))


def test_another_question_is_refused(tmp_path):
    opened(tmp_path)
    with pytest.raises(UsageError, match=r"made for another subject: net on local\. Give another --study"):
        opened(tmp_path, subject="net on rpi4")


def test_who_joins_a_study_searches_its_space(tmp_path):
    """What a space is measured from may differ between two machines; a study has one space."""
    opened(tmp_path)
    other = Space({"int8_static": {}})
    _, joined = open_study(default_storage(tmp_path), "s", space=lambda: other, subject="net on local")
    assert joined.described() == SPACE.described()


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////nowhere/at/all.db", "nobody://host/name"])
def test_a_database_that_cannot_be_opened_is_said(url):
    with pytest.raises(UsageError, match=r"cannot be opened .* sqlite:///search\.db"):
        open_study(url, "s", space=lambda: SPACE, subject="net")


def test_a_queued_trial_goes_to_one_process_alone(tmp_path):
    """Who reads whether a trial is free can write that it is taken before any other reads it."""
    reading = opened(tmp_path)._storage._backend.engine
    other = sqlite3.connect(tmp_path / "search.db", timeout=0.01)
    with contextlib.closing(other), reading.begin() as reads:
        reads.exec_driver_sql("SELECT state FROM trials").all()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")


WIDE = Space({"int8_static": {"bits": tuple(range(2, 40)), "per_channel": (True, False)}})
WORKER = """
import sys, time
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent)]
import test_search_study as t
from edgebench.search import study
url, begun, budget, pause = sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
opened, _ = study.open_study(url, "s", space=lambda: t.WIDE, subject="net on local")
def make(settings):
    begun.write_text(settings.text())
    time.sleep(pause)
    return t.make(settings)
study.search(opened, t.WIDE, make, budget=budget, told=lambda: None)
print(study.finished(opened))
"""


def worker(url, begun, *, budget, pause):
    arguments = [str(Path(__file__).parent), url, str(begun), str(budget), str(pause)]
    return subprocess.Popen([sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, text=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A database without a study."""
    if request.param == "sqlite":
        yield default_storage(tmp_path)
    else:
        with postgres() as server:
            yield server


def on(url, statement):
    """The rows that a statement gives."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        result = connection.execute(sqlalchemy.text(statement))
        found = result.fetchall() if result.returns_rows else []
    engine.dispose()
    return found


def all_silent(url):
    """Put every sign of life so far into the past."""
    on(url, "UPDATE trial_heartbeats SET heartbeat = '2000-01-01 00:00:00'")


@pytest.mark.long
def test_two_processes_share_a_study_in_which_a_third_was_killed(url, tmp_path):
    begun = tmp_path / "begun.txt"
    killed = worker(url, begun, budget=1, pause=60)
    # A trial may begin before its first sign of life is in the database: that is the next test's.
    while not (begun.exists() and begun.read_text() and on(url, "SELECT * FROM trial_heartbeats")):
        assert killed.poll() is None
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    settings = begun.read_text()
    all_silent(url)
    both = [worker(url, begun, budget=8, pause=0.1) for _ in range(2)]
    counts = [int(one.communicate()[0]) for one in both]
    assert min(counts) >= 8 and max(counts) <= 9  # one may be in a trial when the other ends the budget
    found = [
        one.settings for one in points(open_study(url, "s", space=lambda: WIDE, subject="net on local")[0])
    ]
    assert settings in found  # what the killed one was at was tried again
    assert len(set(found)) >= 6


def test_a_trial_that_died_before_its_first_sign_of_life_is_tried_again(tmp_path):
    study = opened(tmp_path, space=WIDE)
    study.ask()  # running, and nobody tells the database that it is alive
    search(study, WIDE, make, budget=1, told=lambda: None)
    assert [trial.state.name for trial in study.trials] == ["RUNNING", "COMPLETE"]
    all_silent(default_storage(tmp_path))
    search(study, WIDE, make, budget=3, told=lambda: None)
    dead, *others = study.trials
    assert dead.state.name == "FAIL"
    again = [trial for trial in others if trial.system_attrs.get("failed_trial") == dead.number]
    assert [(trial.state.name, trial.params["int8_static.bits"]) for trial in again] == [("COMPLETE", "2")]


def test_what_no_settings_are_to_blame_for_ends_the_search_and_they_wait(tmp_path):
    def unplugged(settings):
        raise ConnectionFailed("the board is gone.")

    study = opened(tmp_path)
    with pytest.raises(ConnectionFailed, match="gone"):
        search(study, SPACE, unplugged, budget=4, told=lambda: None)
    assert finished(study) == 0 and refused(study) == {}
    search(study, SPACE, make, budget=1, told=lambda: None)
    search(study, SPACE, make, budget=4, told=lambda: None)
    assert finished(study) == 4


def test_neighbours_differ_in_one_value_until_there_are_none():
    start = {"scheme": "int8_static", "int8_static.bits": "2", "int8_static.per_channel": "true"}
    tried: set[str] = {SPACE.settings(start).text()}
    for _ in range(2):
        params = SPACE.neighbour(start, tried)
        assert sum(params[key] != start[key] for key in start) == 1
        tried.add(SPACE.settings(params).text())
    far = SPACE.neighbour(start, tried)  # nothing near is left
    assert sum(far[key] != start[key] for key in start) == 2
    assert SPACE.neighbour(start, tried | {SPACE.settings(far).text()}) is None


def test_starts_are_the_schemes_own_settings_and_then_a_list_of_float_nodes():
    space = Space.of(["ort_static", "ort_static_measured", "fp16"]).with_float_nodes([["a"], ["b"], ["c"]])
    settings = [space.settings(params) for params in space.starts()]
    assert [one.scheme for one in settings[:3]] == ["ort_static", "ort_static_measured", "fp16"]
    assert not any(one.overrides for one in settings[:3])
    assert settings[3:] == [Settings("ort_static", {"float_parts": [], "float_nodes": ["b"]})]


def test_a_search_takes_what_is_installed_and_knows_no_kind_of_net(monkeypatch):
    monkeypatch.setattr("edgebench.search.space.missing_packages", lambda scheme: [])
    found = Space.of().schemes
    assert {"rewrite", "fp16", "packed_measured_int8", "ort_static"} <= found.keys()
    assert not found.keys() & {"int8_static", "litert_static", "qat", "nc_static"}
    monkeypatch.setattr("edgebench.search.space.missing_packages", lambda scheme: list(scheme.needs))
    assert "ort_static" in Space.of().schemes and "rewrite" not in Space.of().schemes
