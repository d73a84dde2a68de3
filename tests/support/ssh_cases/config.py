"""The ssh config: what is read, and how."""

from __future__ import annotations

from support.ssh_bench import (
    CONFIG,
    NO_WAY,
    Bench,
)
from support.ssh_cases.table import append, case


@case("`Match final all`, as Fedora and RHEL ship it in /etc/ssh/ssh_config.d", report="paramiko#2361")
def _(bench: Bench) -> None:
    bench.server()
    (bench.folder / "50-redhat.conf").write_text(
        "Match final all\n  GSSAPIAuthentication no\n  ForwardX11Trusted yes\n"
    )
    append(bench, first=[f"Include {bench.folder}/50-redhat.conf"])


@case("a Match word of another release", report="paramiko#2632", ssh=CONFIG)
def _(bench: Bench) -> None:
    bench.server()
    append(bench, first=["Match weather rainy", "  ProxyJump nowhere", "Match all"])


@case("`Match exec`, true and false", report="paramiko#2632")
def _(bench: Bench) -> None:
    server = bench.server()
    text = server.config_path.read_text().replace(f"  Port {server.port}\n", "")
    server.config_path.write_text(
        f'Match exec "false"\n  Port 1\nMatch exec "true"\n  Port {server.port}\nMatch all\n{text}'
    )


@case("`CanonicalizeHostname always` with `Match canonical`", report="paramiko#2632")
def _(bench: Bench) -> None:
    server = bench.server()
    text = server.config_path.read_text().replace(f"  Port {server.port}\n", "")
    text = text.replace("HostName 127.0.0.1", "HostName localhost").replace(
        "Host board", "Host board localhost"
    )
    server.config_path.write_text(
        f"CanonicalizeHostname always\n{text}  HostKeyAlias [127.0.0.1]:{server.port}\n  AddressFamily inet\n"
        f"Match canonical\n  Port {server.port}\n"
    )


@case("ProxyJump through a host with a config of its own")
def _(bench: Bench) -> None:
    jump = bench.server("jump")
    server = bench.server()
    server.write_config(extra=["ProxyJump jump"])
    append(bench, jump.config_path.read_text())


@case("ProxyCommand with tokens")
def _(bench: Bench) -> None:
    jump = bench.server("jump")
    server = bench.server()
    server.write_config(extra=[f"ProxyCommand ssh -F {jump.config_path} -W %h:%p jump"])


@case("the config allows no algorithm that the server has", ssh=NO_WAY)
def _(bench: Bench) -> None:
    server = bench.server()
    server.write_config(extra=["HostKeyAlgorithms rsa-sha2-512"])


@case("old ciphers and key exchanges added with `+`")
def _(bench: Bench) -> None:
    server = bench.server()
    server.write_config(extra=["KexAlgorithms +diffie-hellman-group14-sha1", "Ciphers +aes128-cbc"])
