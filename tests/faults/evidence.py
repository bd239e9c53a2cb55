"""What shows that a fault took hold: one that nobody could see has proved nothing."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import redis

from tests.faults import disks
from tests.faults.fault import Fault, Kind
from tests.faults.injuries import CLOCK_JUMP, SYNC_LONGER
from tests.faults.world import World
from tests.processes.cluster import Process

Sign = Callable[[World, Process], bool]
# How far two clocks of one machine may seem apart, when an answer is late (s).
_CLOCK_SLACK = 60
# A busy machine takes its time (s) to stop a process, and to start one that was hurt before.
SHOWS_WITHIN = 15.0
_KNOCK = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.7)"


def unseen(
    world: World, fault: Fault, hurt: Sequence[Process], *, within: float = SHOWS_WITHIN
) -> list[str]:
    """Name those of whom nothing shows, `within` seconds, of a fault that has just begun.

    A stop and a rolling change are seen at their end: they wait for the processes.
    """
    sign = _SIGNS.get(fault.kind)
    return [p.name for p in hurt if sign is not None and not _shows(sign, world, p, within)]


def _shows(sign: Sign, world: World, process: Process, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        with suppress(redis.RedisError, OSError):
            if sign(world, process):
                return True
        time.sleep(0.05)
    return False


def reached(world: World, process: Process, *, by: str) -> bool:
    """Say whether one host of the network can open a connection to a process."""
    words = (*world.lan.hosts[by].prefix, sys.executable, "-c", _KNOCK)
    address = (process.address.host, str(process.address.port))
    return subprocess.run([*words, *address], capture_output=True, check=False).returncode == 0


def _dead(world: World, process: Process) -> bool:
    return not process.running


def _dead_and_erased(world: World, process: Process) -> bool:
    return not process.running and not any(process.data.iterdir())


def _frozen(world: World, process: Process) -> bool:
    stat = Path(f"/proc/{process.server_pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


def _cut_off(world: World, process: Process) -> bool:
    other = next(name for name in sorted(world.lan.hosts) if name != process.name)
    return not reached(world, process, by=other)


def _lossy(world: World, process: Process) -> bool:
    return "numgen random" in world.lan.said(process.name, "nft", "list", "ruleset")


def _narrow(world: World, process: Process) -> bool:
    return "qdisc tbf" in world.lan.said(process.name, "tc", "qdisc", "show")


def _full(world: World, process: Process) -> bool:
    return not disks.takes_a_block(process)


def _stuck(world: World, process: Process) -> bool:
    return disks.stands_still(process)


def _slow(world: World, process: Process) -> bool:
    return _listens_to_shim(world, process) and world.shims[process.name].told() == (
        world.shims[process.name].clock_off,
        SYNC_LONGER,
    )


def _clock_off(seconds: int) -> Sign:
    def off(world: World, process: Process) -> bool:
        if process in world.cluster.sentinels:
            # Its user may not ask for the time.
            told = world.shims[process.name].told()
            return _listens_to_shim(world, process) and told[0] == seconds
        with process.client() as client:
            return abs(client.time()[0] - time.time() - seconds) < _CLOCK_SLACK

    return off


def _listens_to_shim(world: World, process: Process) -> bool:
    maps = Path(f"/proc/{process.server_pid}/maps").read_text()
    shim = world.shims[process.name]
    return str(shim.library) in maps and str(shim.state) in maps


def _astray(world: World, process: Process) -> bool:
    with process.client() as client:
        return bool(client.info("replication")["role"] == "slave")


_SIGNS: Mapping[Kind, Sign] = {
    "crash": _dead,
    "oom": _dead,
    "empty": _dead_and_erased,
    "stale": _dead,
    "hang": _frozen,
    "isolate": _cut_off,
    "deaf": _cut_off,
    "dumb": _cut_off,
    "loss": _lossy,
    "slow network": _narrow,
    "full disk": _full,
    "slow disk": _slow,
    "stuck disk": _stuck,
    "clock ahead": _clock_off(CLOCK_JUMP),
    "clock behind": _clock_off(-CLOCK_JUMP),
    "misled": _astray,
}
