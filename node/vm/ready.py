"""The gate of a rolling change: `python -m node.vm.ready` ends with 0 once the next machine may go.

A machine is ready when its data node and its sentinel are healthy, and every sentinel that answers
could promote every replica that is in sync: a sentinel asks a master for its replicas each 10 s,
and a master that stops before that has nobody to hand over to for two failover timeouts. While
the cluster is being made, the first machines can't be healthy: a data node waits for a majority of
the sentinels, and most of those aren't made yet. So a machine whose volume was empty is also done
when no majority answers.

The same holds for a cluster that is made again around the volumes it had: all its machines were
destroyed, or the first was replaced before there was a second. So a machine whose own sentinel is
well is also done when no other member has taken a connection for a minute: nothing runs that the
next step could break. Who takes it and refuses the login, or has another CA, is there.
"""

import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from node.errors import NodeError
from node.settings import NodeSettings, load_settings
from node.vm.boot import BOOTED, FRESH_VOLUME
from node.vm.layout import CONFIG
from redis_ha.connection import Address
from redis_ha.discovery import (
    Access,
    NodeView,
    SentinelView,
    ask_nodes,
    ask_sentinels,
    at_once,
    promotable_by,
)

_PATIENCE_SECONDS = 900.0
_LOOK_AGAIN_SECONDS = 1.0
_OLD_SECONDS = 10.0
# Longer than a restart of the servers or of a machine takes.
ALONE_SECONDS = 60.0
_CONNECT_SECONDS = 2.0
_ROLES = ("data", "sentinel")


@dataclass(frozen=True)
class Machine:
    """What is known of this machine: each role's word on its health, and who else answers.

    `unlisted` says, for each sentinel that answers, which replica it could not promote;
    `alone_seconds` for how long no other data node and no other sentinel has taken a connection.
    """

    health: dict[str, str]
    fresh_volume: bool
    sentinels: int
    answering: int
    unlisted: Sequence[str] = field(default_factory=tuple)
    alone_seconds: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """Whether the next machine may be touched, and why or why not."""

    ready: bool
    reason: str


def judge(machine: Machine) -> Verdict:
    """Say whether this machine is ready."""
    ill = [f"{role}: {text}" for role, text in machine.health.items() if not _well(text)]
    if not ill and not machine.unlisted:
        return Verdict(True, "; ".join(machine.health.values()))
    if machine.fresh_volume and machine.answering <= machine.sentinels // 2:
        return Verdict(True, f"a new cluster: {machine.answering} of {machine.sentinels} sentinels")
    # With its sentinel and the next machine's there is a majority, and the data nodes can start.
    if machine.alone_seconds >= ALONE_SECONDS and _well(machine.health["sentinel"]):
        silence = f"{machine.alone_seconds:.0f} s"
        return Verdict(True, f"nothing else runs: no other member took a connection for {silence}")
    return Verdict(False, "; ".join([*ill, *machine.unlisted]))


def unlisted(
    nodes: Sequence[NodeView], promotable: Mapping[Address, frozenset[Address]]
) -> list[str]:
    """Say which sentinel could not promote which replica that is in sync.

    `promotable` is what each sentinel that answers could. A replica that is not in sync is waited
    for on its own machine.
    """
    following = [view.address for view in nodes if view.link_up and not view.syncing]
    return [
        f"the sentinel {sentinel} doesn't list {replica} as a replica yet"
        for sentinel, listed in promotable.items()
        for replica in following
        if replica not in listed
    ]


class Company:
    """For how long (s) nobody has answered, from the first question on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: float | None = None

    def alone(self, *, answering: bool) -> float:
        """Take note of whether anybody answers now."""
        now = self._clock()
        if answering or self._heard is None:
            self._heard = now
        return now - self._heard


def takes_connections(address: Address) -> bool:
    """Say whether anything listens at an address."""
    try:
        with socket.create_connection((address.host, address.port), _CONNECT_SECONDS):
            return True
    except OSError:
        return False


def main() -> int:
    """Poll until the machine is ready (0) or the patience is over (1); say why in one line."""
    deadline, company = time.monotonic() + _PATIENCE_SECONDS, Company()
    while True:
        verdict = _look(company)
        late = time.monotonic() > deadline
        if verdict.ready or late:
            sys.stdout.write(verdict.reason + "\n")
            return 0 if verdict.ready else 1
        time.sleep(_LOOK_AGAIN_SECONDS)


def _look(company: Company) -> Verdict:
    if not BOOTED.exists():
        return Verdict(False, "the boot isn't over: see `journalctl -u redis-ha-boot`")
    try:
        settings = {role: load_settings(CONFIG / role / "node.json") for role in _ROLES}
    except NodeError as error:
        return Verdict(False, str(error))
    access = settings["data"].access
    views = ask_sentinels(access)
    own = {each.address for each in settings.values()}
    members = (*settings["data"].data_nodes, *settings["data"].sentinels)
    others = [address for address in members if address not in own]
    return judge(
        Machine(
            health={role: _word(each) for role, each in settings.items()},
            fresh_volume=FRESH_VOLUME.exists(),
            sentinels=len(views),
            answering=sum(not view.problem for view in views),
            unlisted=unlisted(
                ask_nodes(access, settings["data"].data_nodes), _promotable(access, views)
            ),
            alone_seconds=company.alone(answering=any(at_once(takes_connections, others))),
        )
    )


def _promotable(access: Access, views: Sequence[SentinelView]) -> dict[Address, frozenset[Address]]:
    asked = [view.sentinel for view in views if not view.problem]
    known = at_once(lambda sentinel: promotable_by(access, sentinel), asked)
    return dict(zip(asked, known, strict=True))


def _well(word: str) -> bool:
    return word.startswith("ok ")


def _word(settings: NodeSettings) -> str:
    """Read a role's last word; an old one is none."""
    path = settings.health_file
    try:
        age = time.time() - path.stat().st_mtime
        return path.read_text().strip() if age <= _OLD_SECONDS else f"no news for {age:.0f} s"
    except OSError:
        return "it has not begun"


if __name__ == "__main__":
    sys.exit(main())
