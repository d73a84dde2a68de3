"""Host keys without a server: what is known, certificates, and what a hostile server may show."""

from __future__ import annotations

import base64
import contextlib
import socket
import subprocess
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mutations import fuzzed
from support.sshd import make_key

from edgebench.devices.links.ssh.agent import open_agent
from edgebench.devices.links.ssh.blobs import fingerprint, is_certificate, plain_key, type_of
from edgebench.devices.links.ssh.certificates import authority_of, why_not_for_host
from edgebench.devices.links.ssh.hostkeys import parse_known_hosts, verify_host_key
from edgebench.devices.links.ssh.known import refuse_revoked
from edgebench.devices.links.ssh.settings import HostSettings
from edgebench.errors import HostKeyError

BOARD = HostSettings(
    alias="board",
    host="board.example.org",
    port=2222,
    user="pi",
    identity_files=(),
    default_identities=True,
    identities_only=False,
    known_hosts=(Path("/nonexistent/known_hosts"),),
    ssh_command="ssh board",
)


def blob_of(file: Path) -> bytes:
    return base64.b64decode(file.read_text().split()[1])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a host's key with its certificate, and another key."""
    folder = tmp_path_factory.mktemp("keys")
    authority, host = make_key(folder / "authority"), make_key(folder / "host")
    make_key(folder / "other")
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", "-h", "-n", "board.example.org"]
    subprocess.run([*sign, "-V", "20200101:20300101", f"{host}.pub"], check=True, capture_output=True)
    return folder


def verify(text: str, blob: bytes, settings: HostSettings = BOARD, peer: str | None = "192.0.2.7") -> None:
    verify_host_key(settings, parse_known_hosts(text, Path("known")), blob, peer)


def test_the_address_must_be_known_by_the_same_key_where_checkhostip_says_so(keys: Path) -> None:
    host, other = (keys / "host.pub").read_text(), (keys / "other.pub").read_text()
    known = f"[board.example.org]:2222 {host}[192.0.2.7]:2222 {other}"
    blob = blob_of(keys / "host.pub")
    verify(known, blob)
    strict = replace(BOARD, check_host_ip=True)
    with pytest.raises(HostKeyError, match=r"has changed.*\[192\.0\.2\.7\]:2222"):
        verify(known, blob, strict)
    verify(known, blob, strict, peer=None)
    verify(known + f"[192.0.2.7]:2222 {host}", blob, strict)
    verify(f"[board.example.org]:2222 {host}", blob, strict)


# Lines of known_hosts with the words that stand for the keys' own, and what is said of the host's key.
LINES = {
    "[board.example.org]:2222 HOST": "",
    "board.example.org HOST": "",
    "board.example.org,192.0.2.7 HOST": "",
    "*.example.org,!board.example.org HOST": "is not known",
    "other.example.org HOST": "is not known",
    "[board.example.org]:22 HOST": "is not known",
    "[board.example.org]:2222 OTHER": "has changed",
    "board.example.org OTHER": "without its port",
    "[board.example.org]:2222 HOST\n@revoked * HOST": "revoked",
    "@revoked [board.example.org]:2222 HOST\nboard.example.org HOST": "revoked",
    "[board.example.org]:2222 HOST\n@revoked other.example.org HOST": "",
    "@cert-authority * HOST": "is not known",
    "": "is not known",
}
CERTIFICATE_LINES = {
    "@cert-authority * AUTHORITY": "",
    "@cert-authority [board.example.org]:* AUTHORITY": "",
    "@cert-authority board.example.org AUTHORITY": "",
    "@cert-authority *.elsewhere.org AUTHORITY": "not a @cert-authority",
    "@cert-authority * OTHER": "not a @cert-authority",
    "* AUTHORITY": "has changed|without its port",
    "[board.example.org]:2222 HOST": "",
    "@cert-authority * AUTHORITY\n@revoked * AUTHORITY": "revoked",
    "@cert-authority * AUTHORITY\n@revoked * HOST": "revoked",
}


@pytest.mark.parametrize(
    ("text", "says", "shown"),
    [(text, says, "host.pub") for text, says in LINES.items()]
    + [(text, says, "host-cert.pub") for text, says in CERTIFICATE_LINES.items()],
)
def test_what_the_lines_of_known_hosts_say(keys: Path, text: str, says: str, shown: str) -> None:
    for word in ("HOST", "OTHER", "AUTHORITY"):
        text = text.replace(word, " ".join((keys / f"{word.lower()}.pub").read_text().split()[:2]))
    if not says:
        verify(text, blob_of(keys / shown))
        return
    with pytest.raises(HostKeyError, match=says):
        verify(text, blob_of(keys / shown))


@pytest.mark.parametrize("form", ["list", "KRL"])
def test_revoked_host_keys(keys: Path, tmp_path: Path, form: str) -> None:
    file = tmp_path / "revoked"
    for name in ("host", "authority"):
        if form == "list":
            file.write_text((keys / f"{name}.pub").read_text())
        else:
            file.unlink(missing_ok=True)
            subprocess.run(["ssh-keygen", "-q", "-k", "-f", str(file), f"{keys / name}.pub"], check=True)
        settings = replace(BOARD, revoked_host_keys=file)
        refuse_revoked(settings, blob_of(keys / "other.pub"))
        for shown in ("host.pub", "host-cert.pub") if name == "host" else ():
            with pytest.raises(HostKeyError, match="RevokedHostKeys"):
                refuse_revoked(settings, blob_of(keys / shown))
    file.unlink()
    with pytest.raises(HostKeyError, match="cannot be read"):
        refuse_revoked(settings, blob_of(keys / "other.pub"))
    file.write_bytes(b"SSHKRL\n\0 and no more")
    with pytest.raises(HostKeyError, match="cannot look"):
        refuse_revoked(settings, blob_of(keys / "other.pub"))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_key_in_a_certificate(tmp_path: Path, kind: str) -> None:
    authority, host = make_key(tmp_path / "authority"), make_key(tmp_path / "host", kind)
    subprocess.run(["ssh-keygen", "-q", "-s", str(authority), "-I", "x", "-h", f"{host}.pub"], check=True)
    certificate = blob_of(tmp_path / "host-cert.pub")
    assert is_certificate(certificate)
    assert plain_key(certificate) == blob_of(tmp_path / "host.pub")
    assert authority_of(certificate) == blob_of(tmp_path / "authority.pub")
    listing = subprocess.run(
        ["ssh-keygen", "-lf", f"{host}-cert.pub"], capture_output=True, text=True, check=True
    )
    assert fingerprint(certificate) == listing.stdout.split()[1]


def test_a_certificate_counts_in_its_time(keys: Path) -> None:
    blob = blob_of(keys / "host-cert.pub")
    assert why_not_for_host(blob, "board.example.org", (), now_s=1.75e9) == ""
    assert "only from 20" in why_not_for_host(blob, "board.example.org", (), now_s=1.5e9)
    assert "until 20" in why_not_for_host(blob, "board.example.org", (), now_s=1.95e9)
    assert "not for elsewhere" in why_not_for_host(blob, "elsewhere", (), now_s=1.75e9)
    assert "ssh-ed25519" in why_not_for_host(blob, "board.example.org", ("rsa-sha2-512",), now_s=1.75e9)


def test_no_changed_byte_of_a_certificate_is_accepted(keys: Path) -> None:
    blob = blob_of(keys / "host-cert.pub")
    known = f"@cert-authority * {(keys / 'authority.pub').read_text()}"
    verify(known, blob)
    for place in range(len(blob)):
        spoiled = bytes([*blob[:place], blob[place] ^ 1, *blob[place + 1 :]])
        with pytest.raises(HostKeyError):
            verify(known, spoiled)


@fuzzed(300)
@given(data=st.data())
def test_whatever_a_server_shows_is_refused(keys: Path, data: st.DataObject) -> None:
    good = blob_of(keys / "host-cert.pub")
    cut = data.draw(st.integers(0, len(good)))
    shown = data.draw(st.sampled_from([good[:cut], good[cut:]])) + data.draw(st.binary(max_size=40))
    known = data.draw(st.text(max_size=80)) + f"\n@cert-authority * {(keys / 'authority.pub').read_text()}"
    if shown == good:
        return
    with pytest.raises(HostKeyError) as refused:
        verify(known, shown)
    assert str(refused.value).isprintable()
    assert isinstance(type_of(shown), str)


@fuzzed(60)
@given(answer=st.binary(max_size=60) | st.just(b"\0\0\0\x05\x0c\xff\xff\xff\xff") | st.just(b"\xff" * 9))
def test_whatever_an_agent_answers(answer: bytes) -> None:
    """It offers no keys, and the reason is a few words."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path := f"{folder}/agent")
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                wire, _ = listener.accept()
                wire.recv(100)
                wire.sendall(answer)
                wire.close()

        thread = threading.Thread(target=serve)
        thread.start()
        agent, why_not = open_agent(Path(path))
        thread.join()
        assert bool(why_not) == (agent is None)
        if agent:
            assert all(key.blob in answer for key in agent.keys)
            agent.close()
