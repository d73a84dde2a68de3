"""The journal on the board: whole lines or none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgebench.agent import folders, follow, journal, protocol

FULL_DISK = """
import resource, signal, sys
from edgebench.agent import journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
book = journal.Journal(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # what a full disk does, at 4096 bytes
refused = 0
for number in range(100):
    try:
        book.write("trial", number=number, samples_ns=list(range(50 + number % 7)))
    except OSError:
        refused += 1
book.write("end")
print(refused)
"""


def test_a_full_disk_never_leaves_half_a_line(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, check=True)
    assert int(done.stdout) > 80
    data = (tmp_path / folders.JOURNAL).read_bytes()
    assert data.endswith(b"\n") and len(data) <= 4096
    messages = [protocol.decode(line) for line in data.splitlines()]
    assert [message["seq"] for message in messages] == list(range(len(messages)))
    assert messages[-1]["kind"] == "end"


def test_a_journal_is_written_once(tmp_path: Path) -> None:
    journal.Journal(str(tmp_path)).write("begin")
    with pytest.raises(FileExistsError):
        journal.Journal(str(tmp_path))


def test_a_reader_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    reader = follow.Reader(str(tmp_path))
    assert reader.lines() == []
    book = journal.Journal(str(tmp_path))
    book.write("begin", run_id="r")
    ((number, line),) = reader.lines()
    assert (number, json.loads(line)["run_id"]) == (0, "r")
    book.write("trial_begin", id="t7", index=7)
    whole = b'{"kind":"trial","seq":2,"id":"t7"}\n'
    with (tmp_path / folders.JOURNAL).open("ab", buffering=0) as file:
        file.write(whole[:10])
        assert [number for number, _ in reader.lines()] == [1]
        assert reader.trial == {"index": 7, "id": "t7"}
        assert reader.lines() == []
        file.write(whole[10:])
    assert reader.lines() == [(2, whole)]
