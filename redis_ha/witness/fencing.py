"""Which master must not write any more since another one continues its history. Pure.

Sentinel tells an old master so a second or ten later, and one that it fails over may live: its disk
was full and has room again, its process had stood still, or somebody asked for a failover.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from redis_ha.connection import Address
from redis_ha.discovery import SentinelView, majority_master
from redis_ha.witness.decisions import HOLD_SECONDS, Fence, Hold
from redis_ha.witness.evidence import FRESH_SECONDS, LONG_AGO, Evidence
from redis_ha.witness.rules import find_heir

_AGAIN_SECONDS = 0.5
# An old master that the sentinels still name after so long (s) has no successor.
_PEACE_SECONDS = 10.0


@dataclass(frozen=True)
class Duty:
    """An old master that must not write beside its successor; it may be away still.

    `replid` is the history that a successor continues, `epoch` the sentinels' configuration before
    it, `since` (s) what is older is no evidence.
    """

    old: Address
    replid: str
    epoch: int
    since: float
    held: bool = False
    fenced_at: float = LONG_AGO


def find_living(evidence: Evidence, known: Iterable[Address], now: float) -> list[Duty]:
    """Return a duty for each master beside its successor that `known` doesn't name."""
    found = []
    epoch = max((word.config_epoch for word in evidence.words(now, LONG_AGO)), default=0)
    for address, contact in evidence.nodes.items():
        view = contact.fresh_view(now)
        if address in known or view is None or view.role != "master":
            continue
        # Its successor is known: nothing has to wait for a promotion.
        duty = Duty(address, view.replid, epoch, since=now - FRESH_SECONDS, held=True)
        if _find_named_heir(evidence, duty, now):
            found.append(duty)
    return found


def fulfil(duty: Duty, evidence: Evidence, now: float) -> tuple[Duty | None, Fence | Hold | None]:
    """Say what becomes of a duty, None once it is over, and what is to be done now."""
    view = evidence.nodes[duty.old].fresh_view(now, duty.since)
    if view is None:
        return duty, None
    heir = _find_named_heir(evidence, duty, now)
    if view.role != "master" or _is_over(duty, heir, evidence.words(now, LONG_AGO), now):
        return None, None
    if heir is not None and now - duty.fenced_at >= _AGAIN_SECONDS:
        fence = Fence(duty.old, heir, "an old master beside its successor")
        return replace(duty, fenced_at=now), fence
    if heir is None and not duty.held and now - duty.since < HOLD_SECONDS:
        return replace(duty, held=True), Hold(duty.old, "back while a replica may be promoted")
    return duty, None


def _find_named_heir(evidence: Evidence, duty: Duty, now: float) -> Address | None:
    """Return the successor that a sentinel knows of: then it is none that was made by hand."""
    heir = find_heir(evidence, duty.old, replid=duty.replid, since=duty.since, now=now)
    if heir is None:
        return None
    words = evidence.words(now, LONG_AGO)
    named = any(word.master == heir.address for word in words)
    begun = any(word.failing_over and word.master == duty.old for word in words)
    return heir.address if named or begun else None


def _is_over(duty: Duty, heir: Address | None, words: Sequence[SentinelView], now: float) -> bool:
    """Say whether it is the master again, by the sentinels' word, or still is after all."""
    if any(word.master == duty.old and word.config_epoch > duty.epoch for word in words):
        return True
    forgotten = heir is None and now - duty.since > _PEACE_SECONDS
    return forgotten and majority_master(words) == duty.old
