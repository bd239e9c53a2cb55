"""How the core's decisions show in a witness's status and log: pure, times come in."""

from collections.abc import Mapping
from dataclasses import replace

from redis_ha.witness import core as mind
from redis_ha.witness.status import Counter, LastDeath, Status

NAMES: Mapping[type[mind.Decision], str] = {
    mind.Verdict: "death seen",
    mind.StandBy: "standing by",
    mind.Withdraw: "withdrawn",
    mind.Done: "done",
    mind.Ask: "asking for a failover",
    mind.Lead: "leading a replica",
    mind.Hold: "holding an old master",
    mind.Fence: "fencing an old master",
}
EVENTS: Mapping[type[mind.Decision], str] = {
    mind.Verdict: "death-seen",
    mind.StandBy: "standing-by",
    mind.Withdraw: "death-withdrawn",
    mind.Done: "failover-done",
    mind.Ask: "asking-for-failover",
    mind.Lead: "leading-replica",
    mind.Hold: "holding-old-master",
    mind.Fence: "fencing-old-master",
}
_COUNTED: Mapping[type[mind.Decision], Counter] = {
    mind.Verdict: "verdicts",
    mind.Ask: "asked",
    mind.Withdraw: "withdrawn",
    mind.Fence: "fenced",
}


def recorded(status: Status, decision: mind.Decision, *, ago: float, wall: float) -> Status:
    """Return the status after a decision that isn't a vote.

    `ago` (s) is how long ago the dead master's connection was closed, `wall` the Unix time now.
    """
    if type(decision) in _COUNTED:
        status = status.with_one_more(_COUNTED[type(decision)])
    return replace(
        status,
        state=NAMES[type(decision)],
        reason=decision.reason,
        last=_last(status.last, decision, ago=ago, wall=wall),
    )


def _last(
    last: LastDeath | None, decision: mind.Decision, *, ago: float, wall: float
) -> LastDeath | None:
    match decision:
        case mind.Verdict(death):
            return LastDeath(str(death.master), wall - ago)
        case mind.Ask(sentinel) if last and last.asked_after is None:
            return replace(last, asked=str(sentinel), asked_after=ago)
        case mind.Done() | mind.Withdraw() if last and not last.outcome:
            return replace(last, ended_after=ago, outcome=NAMES[type(decision)])
        case _:
            return last
