"""Who may run of a folder's cluster, who leaves it, and the script that goes from one to the other.

A container may run from when it was written until its files are gone: roll.sh takes those away once
it has removed the container. What docker-compose was told meanwhile nobody here knows. Pure.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from infra.containers import HEALTH_RETRIES, HEALTH_TIMEOUT, Container

# The first go first: who watches calls nobody then, and a master hands over with all sentinels.
_ORDER = ("monitoring", "worker", "data", "sentinel")


@dataclass(frozen=True)
class Member:
    """A service and its container; `stop_seconds` is what it has to hand over and end."""

    name: str
    role: str
    container: str
    stop_seconds: int


def member_of(what: Container) -> Member:
    """Take from a container what is kept of it."""
    node = what.node
    return Member(node.name, node.role, node.container, what.limits.stop_grace_seconds)


def may_run(known: Sequence[Member], folders: Collection[str]) -> tuple[Member, ...]:
    """Give those of the earlier runs whose files are there."""
    return tuple(member for member in known if member.name in folders)


def leaving(running: Sequence[Member], wanted: Sequence[Member]) -> tuple[Member, ...]:
    """Give those who are no more wanted, in the order in which they stop: highest number first."""
    names = {member.name for member in wanted}
    gone = [member for member in running if member.name not in names]
    return tuple(sorted(gone, key=_turn))


def count_sentinels(members: Sequence[Member]) -> int:
    """Count the sentinels, of whom a majority must agree."""
    return sum(member.role == "sentinel" for member in members)


def farewell(member: Member) -> str:
    """Write what stops one that leaves; a master hands over meanwhile."""
    name = member.container
    return f"docker stop -t {member.stop_seconds} {name} && docker rm {name}"


def steps(wanted: Sequence[Container], leave: Sequence[Member]) -> str:
    """Write the script's calls. The sentinels that leave do so last.

    Until those that stay know of it, they count them for the majority that a failover needs.
    """
    data = [each.node.container for each in wanted if each.node.role == "data"]
    early = [member for member in leave if member.role != "sentinel"]
    late = [member for member in leave if member.role == "sentinel"]
    calls = [
        *(_leave(member, data if member.role == "data" else []) for member in early),
        *(f"roll {c.node.name} {c.node.container} {_patience(c)}" for c in wanted),
        *(_leave(member, []) for member in late),
    ]
    return "\n".join([*calls, 'echo "roll.sh: all run as this folder says"', ""])


def _leave(member: Member, others: Sequence[str]) -> str:
    return " ".join(
        ["leave", member.name, member.container, str(member.stop_seconds), *others],
    )


def _patience(what: Container) -> int:
    """Give the seconds after which Docker has called it unhealthy, or it never gets so far."""
    return what.start_wait_seconds + HEALTH_RETRIES * (HEALTH_TIMEOUT + what.health_interval)


def _turn(member: Member) -> tuple[int, int, str]:
    rank = _ORDER.index(member.role) if member.role in _ORDER else 0
    number = member.name.rpartition("-")[2]
    return rank, -int(number) if number.isdigit() else 0, member.name
