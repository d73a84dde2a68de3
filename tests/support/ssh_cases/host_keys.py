"""Keys and certificates of the host."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.ssh_bench import (
    HOST_KEY,
    Bench,
)
from support.ssh_cases.table import case, public, sign
from support.sshd import SshServer

# Host keys.


@case("a host key that is not known", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    bench.server().known_hosts.write_text("")


@case("another host key than the known one", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    server = bench.server()
    kind, blob = public(bench.key("another")).split()[:2]
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {kind} {blob}\n")


@case(
    "`StrictHostKeyChecking no`, a host key that is not known",
    edgebench=HOST_KEY,
    why="a figure from a board that nobody knows is worth nothing",
)
def _(bench: Bench) -> None:
    server = bench.server()
    server.known_hosts.write_text("")
    server.write_config(extra=["StrictHostKeyChecking no"])


@case(
    "`NoHostAuthenticationForLocalhost yes`",
    edgebench=HOST_KEY,
    why="a forwarded port of this machine may be any board",
)
def _(bench: Bench) -> None:
    server = bench.server()
    server.known_hosts.write_text("")
    server.write_config(extra=["NoHostAuthenticationForLocalhost yes"])


@case("a host key known without its port", report="ncclient#302")
def _(bench: Bench) -> None:
    server = bench.server()
    server.known_hosts.write_text(server.known_host_line().replace(f"[127.0.0.1]:{server.port}", "127.0.0.1"))


@case("known without its port by another key", report="ncclient#302", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    server = bench.server()
    server.known_hosts.write_text(f"127.0.0.1 {public(bench.key('another'))}")


@case("hashed names (HashKnownHosts)")
def _(bench: Bench) -> None:
    server = bench.server()
    subprocess.run(["ssh-keygen", "-H", "-f", str(server.known_hosts)], check=True, capture_output=True)


@case("several files in UserKnownHostsFile, known in the last")
def _(bench: Bench) -> None:
    server = bench.server()
    text = server.config_path.read_text()
    files = f'{bench.folder / "none"} "{bench.folder / "with space"}" {server.known_hosts}'
    (bench.folder / "with space").touch()
    server.config_path.write_text(
        text.replace(f"UserKnownHostsFile {server.known_hosts}", f"UserKnownHostsFile {files}")
    )


@case("HostKeyAlias")
def _(bench: Bench) -> None:
    server = bench.server()
    server.known_hosts.write_text(server.known_host_line().replace(f"[127.0.0.1]:{server.port}", "desk"))
    server.write_config(extra=["HostKeyAlias desk"])


@case("two host keys, of which the one that is not preferred is known")
def _(bench: Bench) -> None:
    other = bench.key("rsa", "rsa")
    server = bench.server(extra=[f"HostKey {other}"])
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {public(other)}")


@case("KnownHostsCommand")
def _(bench: Bench) -> None:
    server = bench.server()
    moved = server.known_hosts.rename(bench.folder / "by_command")
    server.write_config(extra=[f"KnownHostsCommand /bin/cat {moved}"])


@case("the key is marked @revoked", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    server = bench.server()
    line = server.known_host_line()
    server.known_hosts.write_text(f"{line}@revoked * {line.split(' ', 1)[1]}")


@case("the key is in RevokedHostKeys, a list", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    server = bench.server()
    (revoked := bench.folder / "revoked").write_text(public(server.host_key))
    server.write_config(extra=[f"RevokedHostKeys {revoked}"])


@case("the key is in RevokedHostKeys, a KRL", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    server = bench.server()
    revocation_list(bench, server.host_key)
    server.write_config(extra=[f"RevokedHostKeys {bench.folder}/krl"])


@case("another key is in RevokedHostKeys, a KRL")
def _(bench: Bench) -> None:
    server = bench.server()
    revocation_list(bench, bench.key("another"))
    server.write_config(extra=[f"RevokedHostKeys {bench.folder}/krl"])


@case("RevokedHostKeys names a file that is not there", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    bench.server().write_config(extra=[f"RevokedHostKeys {bench.folder}/missing"])


def revocation_list(bench: Bench, *keys: Path) -> None:
    argv = ["ssh-keygen", "-q", "-k", "-f", str(bench.folder / "krl"), *(f"{key}.pub" for key in keys)]
    subprocess.run(argv, check=True, capture_output=True)


# Certificates of hosts.


def host_certificate(
    bench: Bench, *options: str, kind: str = "ed25519", names: str = "127.0.0.1"
) -> SshServer:
    """A server whose certificate is all that makes it known."""
    authority = bench.key("authority", kind)
    host_key = bench.key("host_key", kind)
    certificate = sign(authority, host_key, "-h", *options)
    server = bench.server(extra=[f"HostKey {host_key}", f"HostCertificate {certificate}"])
    server.known_hosts.write_text(f"@cert-authority [{names}]:* {public(authority)}")
    return server


@case("a host's certificate, `@cert-authority`", report="ncclient#302")
def _(bench: Bench) -> None:
    host_certificate(bench, "-n", "127.0.0.1")


@case("a host's certificate, the authority known for the name without its port", report="ncclient#302")
def _(bench: Bench) -> None:
    server = host_certificate(bench, "-n", "127.0.0.1")
    text = server.known_hosts.read_text()
    server.known_hosts.write_text(text.replace("[127.0.0.1]:*", "127.0.0.1"))


@case("a host's certificate of RSA keys", report="ncclient#302")
def _(bench: Bench) -> None:
    host_certificate(bench, "-n", "127.0.0.1", kind="rsa")


@case("a host's certificate of ECDSA keys", report="ncclient#302")
def _(bench: Bench) -> None:
    host_certificate(bench, "-n", "127.0.0.1", kind="ecdsa")


@case("a host's certificate under HostKeyAlias", report="ncclient#302")
def _(bench: Bench) -> None:
    server = host_certificate(bench, "-n", "desk")
    text = server.known_hosts.read_text()
    server.known_hosts.write_text(text.replace("[127.0.0.1]:*", "desk"))
    server.write_config(extra=["HostKeyAlias desk"])


@case("a host's certificate for another host", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    host_certificate(bench, "-n", "elsewhere.example.org")


@case("a host's certificate that has run out", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    host_certificate(bench, "-n", "127.0.0.1", "-V", "20200101:20200102")


@case("a host's certificate that has run out, its key known")
def _(bench: Bench) -> None:
    server = host_certificate(bench, "-n", "127.0.0.1", "-V", "20200101:20200102")
    line = f"[127.0.0.1]:{server.port} {public(bench.folder / 'host_key')}"
    server.known_hosts.write_text(server.known_hosts.read_text() + line)


@case("a user's certificate shown as a host's", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    authority, host_key = bench.key("authority"), bench.key("host_key")
    certificate = sign(authority, host_key, "-n", "127.0.0.1")
    server = bench.server(extra=[f"HostKey {host_key}", f"HostCertificate {certificate}"])
    server.known_hosts.write_text(f"@cert-authority * {public(authority)}")


@case("a host's certificate of an authority for other hosts", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    host_certificate(bench, "-n", "127.0.0.1", names="*.example.org")


@case("a host's certificate whose authority is @revoked", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    server = host_certificate(bench, "-n", "127.0.0.1")
    text = server.known_hosts.read_text()
    server.known_hosts.write_text(text + f"@revoked * {public(bench.folder / 'authority')}")


@case("a host's certificate revoked in a KRL", ssh=HOST_KEY)
def _(bench: Bench) -> None:
    server = host_certificate(bench, "-n", "127.0.0.1")
    revocation_list(bench, bench.folder / "host_key-cert")
    server.write_config(extra=[f"RevokedHostKeys {bench.folder}/krl"])
