"""Finds the failovers in what happened, one happening after another."""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from redis_ha.events.figures import Failover, judge
from redis_ha.events.happening import ABORTED, Happening

# So long before a failover its first sign may lie: Sentinel tries again after twice its
# failover-timeout, by default 2 x 180 s.
_SIGNS_KEPT = timedelta(seconds=400)
# A failover of which nobody says anything more.
_SILENCE = timedelta(seconds=200)
# What a failover is made of, beside what about its master comes before it.
_PARTS = frozenset(
    {
        *("death-seen", "death-withdrawn", "asking-for-failover", "failover-answered"),
        *("failover-ordered", "+sdown", "+odown", "-odown", "-sdown", "+try-failover", "+tilt"),
        *("+vote-for-leader", "+elected-leader", "+selected-slave", "+promoted-slave"),
        *("+failover-end", "+failover-end-for-timeout", "+switch-master", "master-mode"),
        *("replica-of", "handing-over", "handed-over", "server-died", "failover-requested"),
        *("holding-old-master", "fencing-old-master"),
    }
)
_SIGNS = frozenset(
    {
        *("death-seen", "asking-for-failover", "failover-answered", "failover-ordered"),
        *("+sdown", "+odown", "handing-over", "server-died", "failover-requested"),
    }
)
# What takes the signs of a member back: it is well again, or it starts anew.
_RELIEFS = frozenset(
    {"-sdown", "-odown", "death-withdrawn", "no-handover", "handover-broken-off", "starting"}
)


@dataclass(frozen=True)
class Ended:
    """A failover that is over, and what it was made of."""

    failover: Failover
    parts: tuple[Happening, ...]


class Failovers:
    """Follows what happens; abouts are names. One failover at a time, as Sentinel has it."""

    def __init__(self) -> None:
        self.count = 0
        self._signs: deque[Happening] = deque()
        self._parts: list[Happening] = []
        self._master = ""

    @property
    def number(self) -> int | None:
        """The number of the failover that is under way."""
        return self.count if self._parts else None

    def feed(self, happening: Happening) -> Ended | None:
        """Take in what happened; returns the failover that ended by it, or before it."""
        ended = None
        if self._parts and happening.time - self._parts[-1].time > _SILENCE:
            ended = self.end()
        if self._parts:
            self._go_on(happening)
            return self._settle(happening) or ended
        if happening.kind == "+try-failover":
            self._begin(happening)
        elif happening.kind in _RELIEFS:
            self._signs = deque(s for s in self._signs if s.about != happening.about)
        elif happening.kind in _SIGNS and (happening.is_master or happening.kind != "+sdown"):
            self._remember(happening)
        return ended

    def end(self) -> Ended | None:
        """Give the failover whose end was not seen."""
        return self._closed(settled=False) if self._parts else None

    def _begin(self, happening: Happening) -> None:
        self.count += 1
        self._master = happening.about
        self._parts = [sign for sign in self._signs if self._is_sign(sign, happening)]
        self._parts.append(happening)
        self._signs.clear()

    def _is_sign(self, sign: Happening, start: Happening) -> bool:
        """Say whether a sign is one of this master's end; an order names no node, but is recent."""
        if sign.kind in ("failover-ordered", "failover-requested", "failover-answered"):
            return start.time - sign.time < timedelta(seconds=5)
        return sign.about == self._master

    def _go_on(self, happening: Happening) -> None:
        if happening.kind in _PARTS or happening.kind.startswith(ABORTED):
            self._parts.append(happening)

    def _settle(self, happening: Happening) -> Ended | None:
        """End it with its leader's last word, which is a switch or that it gave up."""
        leaders = {h.node for h in self._parts if h.kind in ("+try-failover", "+elected-leader")}
        aborted = happening.kind.startswith(ABORTED)
        if happening.node in leaders and (aborted or happening.kind == "+switch-master"):
            done = self._closed(settled=True)
            if aborted:
                # The master is as dead as before: the next attempt has the same signs.
                self._signs.extend(part for part in done.parts if part.kind in _SIGNS)
            return done
        return None

    def _closed(self, *, settled: bool) -> Ended:
        done = Ended(judge(self.count, self._parts, settled=settled), tuple(self._parts))
        self._parts, self._master = [], ""
        return done

    def _remember(self, sign: Happening) -> None:
        while self._signs and sign.time - self._signs[0].time > _SIGNS_KEPT:
            self._signs.popleft()
        self._signs.append(sign)
