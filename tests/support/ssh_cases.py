"""Ways to reach a board over SSH, each as `ssh` and edgebench take it: the table of docs/ssh.md.

``report`` names the public report of somebody whom another program failed (owner or project, #number).
"""

from __future__ import annotations

import ensurepip
import getpass
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from support.accounts import Account
from support.fake_wheels import fill_cache, spoiling_set_up
from support.ssh_bench import (
    CONFIG,
    HOST_KEY,
    IN,
    NO_COMMAND,
    NO_WAY,
    SIGN_IN,
    Bench,
    Case,
    UnavailableError,
)
from support.sshd import PATHS, SshServer

from edgebench.devices.install.facts import probe_board
from edgebench.devices.install.provision import provision
from edgebench.devices.links.connection import Connection

CASES: list[Case] = []


def case(
    title: str,
    *,
    report: str = "",
    ssh: str = IN,
    edgebench: str | None = None,
    why: str = "",
    is_job: bool = False,
) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Put a case into the table. Without ``edgebench`` the two agree."""

    def add(prepare: Callable[[Bench], None]) -> Callable[[Bench], None]:
        CASES.append(Case(report, title, prepare, ssh, edgebench or ssh, why, is_job))
        return prepare

    return add


def public(key: Path) -> str:
    return key.with_name(key.name + ".pub").read_text()


def authorize(server: SshServer, *keys: Path) -> None:
    (server.folder / "authorized_keys").write_text("".join(map(public, keys)))


def sign(authority: Path, key: Path, *options: str) -> Path:
    """Make ``key``-cert.pub by an authority; options of ssh-keygen(1), such as ``-h`` for a host's."""
    argv = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", *options]
    subprocess.run([*argv, str(key.with_name(key.name + ".pub"))], check=True, capture_output=True)
    return key.with_name(key.name + "-cert.pub")


def append(bench: Bench, *lines: str, first: Sequence[str] = ()) -> None:
    """Lines before and after the config of the server made last."""
    bench.config.write_text("\n".join([*first, bench.config.read_text(), *lines]) + "\n")


# The config.


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


# Login shells.

SHELLS = {
    "bash": "bash",
    "dash": "dash",
    "fish": "fish",
    "tcsh": "tcsh",
    "csh (BSD)": "bsd-csh",
    "mksh": "mksh",
    "zsh": "zsh",
}


def by_shell(bench: Bench, path: str | None, *, commands: int = 3) -> None:
    if path is None:
        raise UnavailableError("the shell is not installed")
    bench.commands = commands
    bench.server(accounts=[Account("board", bench.folder, path)], user="board")


def add_shell(name: str, program: str) -> None:
    @case(f"login shell {name}", report="open-remote-ssh#100")
    def _(bench: Bench) -> None:
        by_shell(bench, shutil.which(program, path=PATHS))


for shell in SHELLS.items():
    add_shell(*shell)


@case("login shell busybox ash", report="open-remote-ssh#100")
def _(bench: Bench) -> None:
    busybox = shutil.which("busybox", path=PATHS)
    if busybox is None:
        raise UnavailableError("busybox is not installed")
    (bench.folder / "ash").symlink_to(busybox)
    by_shell(bench, str(bench.folder / "ash"))


@case(
    "a restricted shell (rbash)",
    edgebench=NO_COMMAND,
    why="it may not start /bin/sh, and edgebench has to",
)
def _(bench: Bench) -> None:
    by_shell(bench, shutil.which("rbash", path=PATHS), commands=1)


@case("an account that runs no commands (nologin)", ssh=NO_COMMAND)
def _(bench: Bench) -> None:
    by_shell(bench, shutil.which("nologin", path=PATHS), commands=1)


# Servers.


@case("a server that gives one channel at a time (MaxSessions 1), five commands")
def _(bench: Bench) -> None:
    bench.commands = 5
    bench.server(extra=["MaxSessions 1"])


@case("a server that gives no channel (MaxSessions 0)", ssh=NO_COMMAND)
def _(bench: Bench) -> None:
    bench.server(extra=["MaxSessions 0"])


@case("dropbear, ten commands")
def _(bench: Bench) -> None:
    bench.commands = 10
    bench.dropbear()


@case("dropbear, no authentication", report="paramiko#2370")
def _(bench: Bench) -> None:
    server = bench.dropbear(password="")
    (server.folder / "client_key").unlink()


# What the user of the board has set up there. `ssh` runs its command in all of them.

MADE = "its own environment runs"


def environment_of_its_own(bench: Bench, *, folder: Path | None = None) -> None:
    """Have edgebench make the runtime's environment on the board, and run its Python there as a run does."""

    def job(connection: Connection) -> str:
        facts = probe_board(connection, folder=str(folder) if folder else None)
        bundled = Path(ensurepip.__file__).parent / "_bundled"
        pip = next(bundled.glob("pip-*.whl"), None)
        if pip is None:
            raise UnavailableError("this Python has no pip of its own to send")
        cache = fill_cache(bench.folder / "wheels", facts, pip=pip)
        made = provision(connection, facts, offline=True, cache_dir=cache)
        argv = [made.python, "-I", "-c", "import numpy, onnxruntime; print(numpy.__version__)"]
        said = connection.exec(argv, timeout_s=60).stdout.decode().strip()
        return MADE if said == made.versions["numpy"] else said

    bench.job = job


@case(
    "pip.conf with `user = true`, `target`, `require-hashes` and a constraint",
    report="pip#8977",
    edgebench=MADE,
    is_job=True,
)
def _(bench: Bench) -> None:
    theirs = spoiling_set_up(bench.folder / "theirs")
    bench.server(environment={"PIP_CONFIG_FILE": theirs["PIP_CONFIG_FILE"], "PIP_USER": "1"})
    environment_of_its_own(bench)


@case("PYTHONPATH holds another numpy, and a sitecustomize that prints (ROS)", edgebench=MADE, is_job=True)
def _(bench: Bench) -> None:
    theirs = spoiling_set_up(bench.folder / "theirs")
    bench.server(environment={"PYTHONPATH": theirs["PYTHONPATH"]})
    environment_of_its_own(bench)


@case("the home is mounted noexec", edgebench="refused: nothing can be run in that folder", is_job=True)
def _(bench: Bench) -> None:
    bench.server(environment={"XDG_CACHE_HOME": str(bench.disk("size=200m,noexec"))})
    environment_of_its_own(bench)


@case("the home is mounted noexec, another folder is named", edgebench=MADE, is_job=True)
def _(bench: Bench) -> None:
    bench.server(environment={"XDG_CACHE_HOME": str(bench.disk("size=200m,noexec"))})
    environment_of_its_own(bench, folder=bench.folder / "ssd" / "edgebench")


@case("the root is read-only", edgebench="refused: that folder cannot be written", is_job=True)
def _(bench: Bench) -> None:
    bench.server(environment={"XDG_CACHE_HOME": str(bench.disk("size=200m,ro"))})
    environment_of_its_own(bench)


@case("20 MB are free", edgebench="refused: too little room", is_job=True)
def _(bench: Bench) -> None:
    bench.server(environment={"XDG_CACHE_HOME": str(bench.disk("size=20m"))})
    environment_of_its_own(bench)
