"""Keys, agents and certificates of the user."""

from __future__ import annotations

import getpass

from support.accounts import Account
from support.ssh_bench import (
    IN,
    SIGN_IN,
    Bench,
)
from support.ssh_cases.table import authorize, case, sign
from support.sshd import SshServer

# Keys and agents.


@case("IdentityAgent names the socket (1Password, Secretive, gpg-agent)", report="paramiko#2315")
def _(bench: Bench) -> None:
    server = bench.server()
    socket = bench.agent(server.client_key)
    server.client_key.unlink()
    server.write_config(extra=[f"IdentityAgent {socket}"])


@case("IdentityAgent with ~ and tokens, IdentityFile a public key", report="paramiko#2315")
def _(bench: Bench) -> None:
    server = bench.server()
    bench.agent(server.client_key, name="agent-board")
    server.client_key.unlink()
    bench.environment["AGENTS"] = str(bench.folder)
    server.write_config(
        key=server.client_key.with_name("client_key.pub"), extra=["IdentityAgent ${AGENTS}/agent-%n"]
    )


@case("`IdentityAgent none`, the key in the agent only", report="paramiko#2315", ssh=SIGN_IN)
def _(bench: Bench) -> None:
    server = bench.server()
    bench.agent(server.client_key, default=True)
    server.client_key.unlink()
    server.write_config(extra=["IdentityAgent none"])


@case("the agent's first key, which the server would take, cannot sign", report="paramiko#2299")
def _(bench: Bench) -> None:
    server = bench.server()
    pulled_out = bench.key("pulled_out")
    authorize(server, pulled_out, server.client_key)
    socket = bench.refusing_agent(bench.agent(server.client_key), pulled_out)
    server.client_key.unlink()
    server.write_config(extra=[f"IdentityAgent {socket}"])
    server.config_path.write_text(server.config_path.read_text().replace("IdentitiesOnly yes", ""))


def many_keys(bench: Bench, only: str) -> None:
    server = bench.server(extra=["MaxAuthTries 6"])
    others = [bench.key(f"other{number}") for number in range(8)]
    bench.agent(*others, default=True)
    text = server.config_path.read_text().replace("IdentitiesOnly yes", f"IdentitiesOnly {only}")
    server.config_path.write_text(text)


@case("eight other keys in the agent, MaxAuthTries 6, `IdentitiesOnly yes`")
def _(bench: Bench) -> None:
    many_keys(bench, "yes")


@case(
    "the same without IdentitiesOnly",
    ssh=SIGN_IN,
    edgebench=IN,
    why="a key file that the config names is offered before the agent's other keys",
)
def _(bench: Bench) -> None:
    many_keys(bench, "no")


@case("a key file that others can read", ssh=SIGN_IN)
def _(bench: Bench) -> None:
    bench.server().client_key.chmod(0o644)


@case("a key with a passphrase, and no agent", ssh=SIGN_IN)
def _(bench: Bench) -> None:
    server = bench.server()
    locked = bench.key("locked", passphrase="secret")
    authorize(server, locked)
    server.write_config(key=locked)


@case("the server wants no authentication (method `none`, as Tailscale SSH)", report="paramiko#2370")
def _(bench: Bench) -> None:
    extra = ["PermitEmptyPasswords yes", "PasswordAuthentication yes", "PermitRootLogin yes"]
    account = Account("anybody", bench.folder, password="")
    server = bench.server(extra=extra, accounts=[account], user="anybody")
    server.client_key.unlink()


@case("the server wants two keys, one after the other")
def _(bench: Bench) -> None:
    server = bench.server(extra=["AuthenticationMethods publickey,publickey"])
    second = bench.key("second")
    authorize(server, server.client_key, second)
    server.write_config(extra=[f"IdentityFile {second}"])


@case("the server wants a key and a password", ssh=SIGN_IN)
def _(bench: Bench) -> None:
    bench.server(extra=["PasswordAuthentication yes", "AuthenticationMethods publickey,password"])


# Certificates of users.


def user_certificate(bench: Bench, *options: str, kind: str = "ed25519") -> SshServer:
    authority = bench.key("authority")
    server = bench.server(extra=[f"TrustedUserCAKeys {authority}.pub"])
    key = bench.key("certified", kind)
    sign(authority, key, *options)
    authorize(server)
    server.write_config(key=key)
    return server


@case("a user's certificate beside the key")
def _(bench: Bench) -> None:
    user_certificate(bench, "-n", getpass.getuser())


@case("a user's certificate of an RSA key")
def _(bench: Bench) -> None:
    user_certificate(bench, "-n", getpass.getuser(), kind="rsa")


@case("a user's certificate that CertificateFile names, the key in the agent")
def _(bench: Bench) -> None:
    server = user_certificate(bench, "-n", getpass.getuser())
    key = bench.folder / "certified"
    moved = key.with_name("certified-cert.pub").rename(bench.folder / "elsewhere.pub")
    socket = bench.agent(key)
    key.unlink()
    server.write_config(key=key, extra=[f"CertificateFile {moved}", f"IdentityAgent {socket}"])


@case("a user's certificate in the agent alone")
def _(bench: Bench) -> None:
    server = user_certificate(bench, "-n", getpass.getuser())
    key = bench.folder / "certified"
    bench.agent(key, default=True)
    for file in (key, key.with_name("certified-cert.pub"), key.with_name("certified.pub")):
        file.unlink()
    text = server.config_path.read_text().replace("IdentitiesOnly yes", "")
    server.config_path.write_text(text)


@case("a user's certificate for somebody else", ssh=SIGN_IN)
def _(bench: Bench) -> None:
    user_certificate(bench, "-n", "somebody-else")


@case("a user's certificate that has run out", ssh=SIGN_IN)
def _(bench: Bench) -> None:
    user_certificate(bench, "-n", getpass.getuser(), "-V", "20200101:20200102")
