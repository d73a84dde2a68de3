"""Boards: which there are, how to reach them, what they are, how files and a runtime get there.

In the order of use: `resolve_device` finds the board a name means, `connect` reaches it,
`probe_board` learns what it is, `deploy` brings files, `provision` makes the runtime's private
environment, and `Connection` runs commands.
"""

from edgebench.devices.boards.conditioning import Conditioning, parse_conditioning
from edgebench.devices.boards.inventory import DeviceEntry, Inventory, read_inventory
from edgebench.devices.boards.profiles import Profile, load_profile, match_profile, profiles
from edgebench.devices.boards.resolve import Device, resolve_device
from edgebench.devices.install.agent_zip import build_agent
from edgebench.devices.install.deploy import DeployReport, deploy
from edgebench.devices.install.facts import BoardFacts, probe_board
from edgebench.devices.install.provision import Environment, provision
from edgebench.devices.links.bounded import LINE_BYTES
from edgebench.devices.links.connect import connect
from edgebench.devices.links.connection import Connection, ExecResult, LineStream, TimeLimits

__all__ = [
    "LINE_BYTES",
    "BoardFacts",
    "Conditioning",
    "Connection",
    "DeployReport",
    "Device",
    "DeviceEntry",
    "Environment",
    "ExecResult",
    "Inventory",
    "LineStream",
    "Profile",
    "TimeLimits",
    "build_agent",
    "connect",
    "deploy",
    "load_profile",
    "match_profile",
    "parse_conditioning",
    "probe_board",
    "profiles",
    "provision",
    "read_inventory",
    "resolve_device",
]
