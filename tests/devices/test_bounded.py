"""What a board may say at most: a program there that never stops does not fill this machine's memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sshd import SshServer

from edgebench.devices.links.bounded import CHATTER_BYTES, LineBuffer, Patience, Tail
from edgebench.devices.links.connection import Connection
from edgebench.devices.links.local import LocalConnection
from edgebench.devices.links.ssh.connection import SshConnection
from edgebench.errors import ConnectionFailed, DeviceError
from edgebench.text import plain

LIMIT = 200_000
ENDLESS_LINE = ["sh", "-c", "while :; do printf '%0100000d' 7; done"]
ENDLESS_LINES = ["sh", "-c", "while :; do printf '%099999d\\n' 7; done"]
ENDLESS_NOISE = ["sh", "-c", "yes >&2 & echo one; sleep 0.2; kill $!; echo two"]


@pytest.fixture(params=["local", "ssh"])
def link(request: pytest.FixtureRequest) -> Iterator[Connection]:
    if request.param == "local":
        yield LocalConnection()
        return
    server: SshServer = request.getfixturevalue("ssh_server")
    connection = SshConnection.open("board", config_path=server.config_path)
    yield connection
    connection.close()


def test_a_command_that_never_stops_talking_is_ended(link: Connection) -> None:
    for command in (ENDLESS_LINE, ENDLESS_LINES):
        tracemalloc.start()
        with pytest.raises(DeviceError, match="'sh' was ended: its output is longer than the 200,000 bytes"):
            link.exec(command, timeout_s=60, limit_bytes=LIMIT)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # Over SSH a few megabytes are under way: the window of a channel.
        assert peak_bytes < 16 * CHATTER_BYTES


def test_a_line_that_never_ends_is_refused_and_lines_that_end_are_not(link: Connection) -> None:
    with link.stream(ENDLESS_LINES, idle_timeout_s=20, limit_bytes=LIMIT) as lines:
        assert [len(next(lines)) for _ in range(30)] == [99_999] * 30
    with (
        link.stream(ENDLESS_LINE, idle_timeout_s=20, limit_bytes=LIMIT) as lines,
        pytest.raises(DeviceError, match="one line is longer than the 200,000 bytes"),
    ):
        next(lines)


def test_a_byte_now_and_then_is_no_line(link: Connection) -> None:
    """Each byte used to begin the wait anew, so that the end of the line never came and was never missed."""
    slow = ["sh", "-c", "echo one; while :; do printf x; sleep 0.1; done"]
    with link.stream(slow, idle_timeout_s=2.0) as lines:
        assert next(lines) == b"one"
        with pytest.raises(ConnectionFailed, match=r"began a line and had not ended it 2 s and"):
            next(lines)


def test_a_long_line_may_take_longer_than_silence_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """60 s for the next byte, and a second more in all for each 1,000 bytes of the line."""
    now_s = [0.0]
    monkeypatch.setattr("edgebench.devices.links.bounded.time.monotonic", lambda: now_s[0])
    patience = Patience(60.0)
    now_s[0] = 50.0
    assert patience.left_s() == 10.0
    patience.heard(30_000)
    assert patience.left_s() == 40.0
    patience.heard(1_000_000)
    assert patience.left_s() == 60.0
    now_s[0] = 2000.0
    assert patience.left_s() == 0.0 and "1,030,000 bytes later" in patience.lost()
    patience.line_ended()
    assert patience.left_s() == 60.0 and patience.lost() == "said nothing for 60 s"


def test_noise_on_standard_error_is_read_and_forgotten(link: Connection) -> None:
    with link.stream(ENDLESS_NOISE, idle_timeout_s=20) as lines:
        assert list(lines) == [b"one", b"two"]
    assert lines.result is not None
    assert lines.result.status == 0
    assert len(lines.result.stderr) <= 1 << 16


def test_the_end_of_an_answer_that_is_exactly_the_limit_is_read(link: Connection) -> None:
    result = link.exec(["sh", "-c", "printf '%0200000d' 7"], timeout_s=20, limit_bytes=LIMIT)
    assert len(result.stdout) == LIMIT
    with link.stream(["sh", "-c", "printf '%0200000d' 7"], idle_timeout_s=20, limit_bytes=LIMIT) as lines:
        assert [len(line) for line in lines] == [LIMIT]


@given(st.lists(st.binary(max_size=9)))
def test_lines_are_those_of_split_however_they_come(pieces: list[bytes]) -> None:
    buffer, found = LineBuffer(1000), []
    for piece in pieces:
        buffer.feed(piece)
        while (line := buffer.line()) is not None:
            found.append(line)
    assert [*found, buffer.rest()] == b"".join(pieces).split(b"\n")


@given(st.lists(st.binary(max_size=9)))
def test_a_tail_is_the_end(pieces: list[bytes]) -> None:
    tail = Tail(7)
    for piece in pieces:
        tail.feed(piece)
    assert tail.value() == b"".join(pieces)[-7:]


@given(st.text(st.sampled_from("a\u00e9\u4e2d\t\n\r\0\x1b\x7f\x9b\u200f\u2028\u202e\u2066\ud800\U0001f600")))
def test_plain_text_has_nothing_that_a_terminal_obeys(text: str) -> None:
    said = plain(text)

    assert not set(said) & {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), 0x202E)}
    said.encode()  # no half of a surrogate pair is left
    assert plain(said) == said
