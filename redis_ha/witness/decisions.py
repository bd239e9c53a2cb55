"""What a witness may decide to do, each with its reason."""

from dataclasses import dataclass

from redis_ha.connection import Address
from redis_ha.witness.vote import Death, Vote

# An old master that is back before the promotion: its writes wait so long (s), then go on.
HOLD_SECONDS = 3.0


@dataclass(frozen=True)
class Say:
    """Publish this vote on every data node that is connected."""

    vote: Vote
    reason: str


@dataclass(frozen=True)
class Look:
    """See how the sentinel is that is to be asked; `at` comes back with the answer.

    One in TILT mode, or stalled, would take the request up when that is over, perhaps against
    the next master.
    """

    sentinel: Address
    at: float
    reason: str = "it is the next to be asked"


@dataclass(frozen=True)
class PassOver:
    """This sentinel isn't asked, or said no: the next one is."""

    sentinel: Address
    reason: str


@dataclass(frozen=True)
class Ask:
    """Send SENTINEL FAILOVER to this sentinel, and to no other; `at` comes back with the answer."""

    sentinel: Address
    death: Death
    reason: str
    at: float


@dataclass(frozen=True)
class Verdict:
    """This witness has seen the master's process die; `since` (s) its connection is closed."""

    death: Death
    reason: str
    since: float


@dataclass(frozen=True)
class StandBy:
    """A death was seen, and nothing may be asked for now."""

    death: Death
    reason: str


@dataclass(frozen=True)
class Withdraw:
    """The master answers again: it is not dead, or was started anew."""

    death: Death
    reason: str


@dataclass(frozen=True)
class Done:
    """The dead master has a successor."""

    death: Death
    reason: str


@dataclass(frozen=True)
class Lead:
    """Make a replica that the dead master has left follow its successor.

    A new master takes no writes before min-replicas-to-write replicas follow it; Sentinel sends
    them there only at its next look, up to a second later.
    """

    replica: Address
    new: Address
    reason: str


@dataclass(frozen=True)
class Hold:
    """Pause writes for HOLD_SECONDS on a master that is back while a promotion may come."""

    old: Address
    reason: str


@dataclass(frozen=True)
class Fence:
    """Pause writes on an old master beside its successor, and make it follow."""

    old: Address
    new: Address
    reason: str


Decision = Say | Look | PassOver | Ask | Verdict | StandBy | Withdraw | Done | Lead | Hold | Fence
