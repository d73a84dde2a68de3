"""The store: real files, real processes, real damage."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from support import results_builder as b

from edgebench.errors import StoreError, UsageError
from edgebench.results import Store, StoreWarning, record_from

TESTS = Path(__file__).parents[1]


def filled(path, *run_ids, **options):
    store = Store(path, **options)
    for run_id in run_ids:
        for line in b.records(short_run(run_id)):
            store.append(line)
    return store


def short_run(run_id):
    return [
        b.header(run_id=run_id),
        b.trial_line(b.condition(), b.trial(), run_id=run_id),
        b.run_end(run_id=run_id),
    ]


def test_lines_come_back_in_order_and_runs_newest_first(tmp_path):
    store = filled(tmp_path / "deep" / "store", "01B", "01A")
    assert [run.run_id for run in store.runs()] == ["01A", "01B"]
    assert store.run("01B") == b.records(short_run("01B"))
    assert store.run("last") == b.records(short_run("01A"))
    info = store.runs()[0]
    assert (info.status, info.trials, info.device) == ("complete", 1, "rpi4")


def test_interleaved_runs_are_told_apart(tmp_path):
    store = Store(tmp_path)
    first, second = b.records(short_run("01A")), b.records(short_run("01B"))
    for pair in zip(first, second, strict=True):
        for line in pair:
            store.append(line)
    assert store.run("01A") == first
    assert store.run("01B") == second


def test_a_run_is_found_by_the_beginning_of_its_id(tmp_path):
    store = filled(tmp_path, "01JA1", "01JB2")
    assert store.run("01ja")[0].run_id == "01JA1"
    with pytest.raises(UsageError, match=r"fits 2 runs.*01JA1, 01JB2"):
        store.run("01J")
    with pytest.raises(UsageError, match="did you mean '01JA1'"):
        store.run("01JA9")
    with pytest.raises(UsageError, match="Known: 01JA1, 01JB2, last"):
        store.run("")


def test_an_empty_store_says_so(tmp_path):
    store = Store(tmp_path / "none")
    assert store.runs() == []
    with pytest.raises(UsageError, match="holds no run yet"):
        store.run("last")
    assert not (tmp_path / "none").exists()


def test_a_cut_last_line_is_ignored_then_set_aside(tmp_path):
    filled(tmp_path, "01A")
    records = tmp_path / "records.jsonl"
    whole = records.read_bytes()
    cut = b'{"schema_version":1,"kind":"trial","run_id":"01B","condi'
    records.write_bytes(whole + cut)

    with pytest.warns(StoreWarning, match=f"cut short .{len(cut)} bytes"):
        assert len(Store(tmp_path).run("last")) == 3
    assert records.read_bytes() == whole + cut, "reading changes nothing"

    with pytest.warns(StoreWarning, match=r"set aside in records\.jsonl\.cut-1"):
        Store(tmp_path).append(record_from(b.header(run_id="01C")))
    assert (tmp_path / "records.jsonl.cut-1").read_bytes() == cut
    assert records.read_bytes().startswith(whole)
    assert Store(tmp_path).run("01C")[0].run_id == "01C"

    with records.open("ab") as file:
        file.write(b"x" * 200_000)
    with pytest.warns(StoreWarning, match="cut-2"):
        Store(tmp_path).append(record_from(b.run_end(run_id="01C")))
    assert (tmp_path / "records.jsonl.cut-2").read_bytes() == b"x" * 200_000
    assert len(Store(tmp_path).run("01C")) == 2


def test_a_file_that_is_nothing_but_a_cut_line(tmp_path):
    (tmp_path / "records.jsonl").write_bytes(b'{"schema')
    with pytest.warns(StoreWarning):
        assert Store(tmp_path).runs() == []
    with pytest.warns(StoreWarning, match="cut-1"):
        filled(tmp_path, "01A")
    assert len(Store(tmp_path).run("last")) == 3


@pytest.mark.parametrize("damage", [b"\x00\xff not json\n", b"[]\n", b'{"kind":"trial"}\n', b"\n"])
def test_a_damaged_middle_line_is_a_warning_with_its_number(tmp_path, damage):
    filled(tmp_path, "01A", "01B")
    records = tmp_path / "records.jsonl"
    lines = records.read_bytes().splitlines(keepends=True)
    lines[1] = damage
    records.write_bytes(b"".join(lines))
    with pytest.warns(StoreWarning, match="line 2 is damaged"):
        found = Store(tmp_path).run("01A")
    assert [line.kind for line in found] == ["run", "run_end"]
    with pytest.warns(StoreWarning, match="line 2 is damaged"):
        assert len(Store(tmp_path).run("01B")) == 3


def test_a_line_that_is_broken_inside_is_left_out_by_who_reads_its_run(tmp_path):
    """The index looks at the beginning and the end of a line; its middle is read with its run."""
    filled(tmp_path, "01A", "01B")
    records = tmp_path / "records.jsonl"
    records.write_bytes(records.read_bytes().replace(b'"launch":0', b'"launch":,', 1))
    with pytest.warns(StoreWarning, match=r"line 2 \(run 01A\) is left out: .*JSON"):
        found = Store(tmp_path).run("01A")
    assert [line.kind for line in found] == ["run", "run_end"]
    assert len(Store(tmp_path, warn=pytest.fail).run("01B")) == 3


def test_a_line_of_zeros_inside_is_damaged(tmp_path):
    """What some file systems leave of a page that was never written."""
    filled(tmp_path, "01A")
    records = tmp_path / "records.jsonl"
    first, second, last = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(first + second[:100] + bytes(200) + second[300:] + last)
    with pytest.warns(StoreWarning, match="line 2 is damaged"):
        assert len(Store(tmp_path).run("01A")) == 2


def test_reading_again_writes_nothing(tmp_path):
    filled(tmp_path, "01A").runs()
    before = (tmp_path / "index.sqlite").stat().st_mtime_ns
    Store(tmp_path).run("01A")
    assert (tmp_path / "index.sqlite").stat().st_mtime_ns == before


def test_a_line_with_a_wrong_field_is_left_out_with_a_warning(tmp_path):
    store = filled(tmp_path, "01A")
    text = store.records_path.read_text().replace('"launch":0', '"launch":"zero"')
    store.records_path.write_text(text)
    with pytest.warns(StoreWarning, match=r"line 2 .*trial\.launch"):
        assert len(Store(tmp_path).run("01A")) == 2


def test_a_run_without_its_header_is_an_error_and_the_others_are_not(tmp_path):
    store = filled(tmp_path, "01A", "01B")
    lines = store.records_path.read_bytes().splitlines(keepends=True)
    store.records_path.write_bytes(b"".join(lines[1:]))
    with pytest.raises(StoreError, match="no header line left"):
        Store(tmp_path).run("01A")
    assert len(Store(tmp_path).run("01B")) == 3


def test_a_newer_run_is_refused_and_the_others_are_read(tmp_path):
    store = filled(tmp_path, "01A")
    with store.records_path.open("a") as file:
        file.write(json.dumps({**b.header(run_id="01Z"), "schema_version": 9, "new": True}) + "\n")
    with pytest.raises(StoreError, match=r"schema version 9.*Upgrade edgebench"):
        store.run("01Z")
    assert [run.status for run in store.runs()] == ["unreadable", "complete"]
    assert len(store.run("01A")) == 3


@pytest.mark.parametrize("what", ["missing", "garbage", "empty", "other tables", "other version"])
def test_the_index_is_made_again(tmp_path, what):
    store = filled(tmp_path, "01A", "01B")
    assert len(store.runs()) == 2
    index = tmp_path / "index.sqlite"
    assert index.exists()
    if what == "missing":
        index.unlink()
    elif what == "garbage":
        index.write_bytes(b"SQLite format 3\x00" + os.urandom(8000))
    elif what == "empty":
        index.write_bytes(b"")
    else:
        with sqlite3.connect(index) as db:
            if what == "other tables":
                db.executescript("DROP TABLE run_lines; CREATE TABLE run_lines (x); DELETE FROM state;")
            else:
                db.execute("UPDATE state SET value = '0' WHERE name = 'version'")
                db.execute("UPDATE run_lines SET run_id = 'wrong'")
    store = Store(tmp_path)
    assert [run.run_id for run in store.runs()] == ["01B", "01A"]
    assert len(store.run("01A")) == 3


def test_an_index_of_the_first_version_is_replaced_and_left_to_who_reads_it(tmp_path):
    """An older edgebench may read the same store: its table is not ours to change."""
    filled(tmp_path, "01A")
    with sqlite3.connect(tmp_path / "index.sqlite") as db:
        db.executescript(
            "CREATE TABLE lines (offset INTEGER PRIMARY KEY, length INTEGER, number INTEGER, "
            "run_id TEXT, kind TEXT);"
            "CREATE INDEX by_run ON lines (run_id, offset);"
            "CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
            "INSERT INTO lines VALUES (0, 1, 1, 'old', 'run'); INSERT INTO state VALUES ('version', '1');"
        )
    assert [run.run_id for run in Store(tmp_path).runs()] == ["01A"]
    with sqlite3.connect(tmp_path / "index.sqlite") as db:
        assert db.execute("SELECT run_id FROM lines").fetchall() == [("old",)]


def test_an_index_of_other_lines_is_made_again(tmp_path):
    """The lines were replaced by another store's: same folder, same size even."""
    filled(tmp_path / "a", "01A")
    filled(tmp_path / "b", "01B")
    assert len(Store(tmp_path / "a").runs()) == 1
    (tmp_path / "a" / "records.jsonl").write_bytes((tmp_path / "b" / "records.jsonl").read_bytes())
    assert [run.run_id for run in Store(tmp_path / "a").runs()] == ["01B"]


def test_the_index_is_extended_not_rebuilt(tmp_path):
    filled(tmp_path, "01A").runs()
    with sqlite3.connect(tmp_path / "index.sqlite") as db:
        db.execute("UPDATE run_lines SET kind = 'mark' WHERE offset = 0")
    store = filled(tmp_path, "01B")
    assert len(store.runs()) == 2
    with sqlite3.connect(tmp_path / "index.sqlite") as db:
        kinds = [row[0] for row in db.execute("SELECT kind FROM run_lines ORDER BY offset")]
    assert kinds == ["mark", "trial", "run_end", "run", "trial", "run_end"]


def test_a_store_is_read_where_no_index_can_be_written(tmp_path):
    filled(tmp_path, "01A")
    (tmp_path / "index.sqlite").mkdir()
    assert len(Store(tmp_path).run("last")) == 3


def test_a_folder_that_cannot_be_used_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"cannot be written.*another folder"):
        Store(tmp_path / "file").append(record_from(b.run_end()))
    with pytest.raises(StoreError):
        Store(tmp_path / "file").runs()
    (tmp_path / "store" / "records.jsonl").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be read"):
        Store(tmp_path / "store").runs()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_a_store_error(tmp_path):
    filled(tmp_path, "01A")
    (tmp_path / "records.jsonl").chmod(0)
    with pytest.raises(StoreError, match="Permission denied"):
        Store(tmp_path).runs()


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    """A limit on the file's size stands for the full disk: the write stops half way."""
    store = filled(tmp_path, "01A")
    before = store.records_path.read_bytes()
    script = """
        import resource, signal, sys
        sys.path.insert(0, sys.argv[2])
        from support import results_builder as b
        from edgebench.errors import StoreError
        from edgebench.results import Store, record_from
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = int(sys.argv[3])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            Store(sys.argv[1]).append(record_from(b.header(run_id="01B")))
        except StoreError as error:
            print(error)
            sys.exit(error.exit_code)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path, TESTS, str(len(before) + 1000)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert "cannot be written" in done.stdout
    assert store.records_path.read_bytes() == before


WRITER = """
    import sys
    sys.path.insert(0, sys.argv[2])
    from support import results_builder as b
    from edgebench.results import Store, record_from
    store = Store(sys.argv[1])
    run_id = sys.argv[3]
    store.append(record_from(b.header(run_id=run_id)))
    for number in range(int(sys.argv[4])):
        message = b.trial(number, samples_ns=[20_000_000] * 20_000)
        store.append(record_from(b.trial_line(b.condition(), message, launch=number, run_id=run_id)))
        print(number, flush=True)
    store.append(record_from(b.run_end(run_id=run_id)))
"""


def writer(path, run_id, count):
    command = [sys.executable, "-c", textwrap.dedent(WRITER), path, TESTS, run_id, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_writers_and_readers_at_once_lose_nothing(tmp_path, recwarn):
    writers = [writer(tmp_path, f"01{letter}", 12) for letter in "ABC"]
    store = Store(tmp_path)
    while any(process.poll() is None for process in writers):
        for info in store.runs():
            store.run(info.run_id)
        time.sleep(0.02)
    assert [process.wait() for process in writers] == [0, 0, 0]
    for letter in "ABC":
        lines = store.run(f"01{letter}")
        assert [line.kind for line in lines] == ["run", *["trial"] * 12, "run_end"]
        assert [line.launch for line in lines[1:-1]] == list(range(12))
    assert not [w for w in recwarn if issubclass(w.category, StoreWarning)], "no reader saw half a line"


def test_a_writer_killed_at_any_moment_loses_at_most_its_last_line(tmp_path):
    process = writer(tmp_path, "01A", 1000)
    said = [int(process.stdout.readline()) for _ in range(5)]
    process.kill()
    said += [int(line) for line in process.stdout.read().split()]
    process.wait()
    store = Store(tmp_path, warn=lambda text: None)
    store.append(record_from(b.run_end(run_id="01A")))
    launches = [line.launch for line in store.run("01A") if line.kind == "trial"]
    assert launches == list(range(len(launches)))
    assert len(launches) >= len(said), "what was reported written is there"
