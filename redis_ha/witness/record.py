"""How the core's decisions show in a witness's status and log: pure, times come in."""

from collections.abc import Mapping
from dataclasses import replace

from redis_ha.witness import decisions
from redis_ha.witness.status import Counter, LastDeath, Status

NAMES: Mapping[type[decisions.Decision], str] = {
    decisions.Verdict: "death seen",
    decisions.StandBy: "standing by",
    decisions.Withdraw: "withdrawn",
    decisions.Done: "done",
    decisions.Ask: "asking for a failover",
    decisions.Lead: "leading a replica",
    decisions.Hold: "holding an old master",
    decisions.Fence: "fencing an old master",
}
EVENTS: Mapping[type[decisions.Decision], str] = {
    decisions.Verdict: "death-seen",
    decisions.StandBy: "standing-by",
    decisions.Withdraw: "death-withdrawn",
    decisions.Done: "failover-done",
    decisions.Ask: "asking-for-failover",
    decisions.Lead: "leading-replica",
    decisions.Hold: "holding-old-master",
    decisions.Fence: "fencing-old-master",
}
_COUNTED: Mapping[type[decisions.Decision], Counter] = {
    decisions.Verdict: "verdicts",
    decisions.Ask: "asked",
    decisions.Withdraw: "withdrawn",
    decisions.Fence: "fenced",
}


def recorded(status: Status, decision: decisions.Decision, *, ago: float, wall: float) -> Status:
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


def fields_of(decision: decisions.Decision) -> dict[str, str]:
    """Return what a decision's line in the log says beside its name: whom it is about, and why."""
    fields = {"reason": decision.reason}
    match decision:
        case decisions.Ask(sentinel, death):
            fields |= {"sentinel": str(sentinel), "master": str(death.master)}
        case decisions.Fence(old, new):
            fields |= {"old": str(old), "new": str(new)}
        case decisions.Lead(replica, new):
            fields |= {"replica": str(replica), "new": str(new)}
        case decisions.Hold(old):
            fields |= {"old": str(old)}
        case decisions.Verdict(death):
            fields |= {"master": str(death.master), "run_id": death.run_id}
        case decisions.StandBy(death) | decisions.Withdraw(death) | decisions.Done(death):
            fields |= {"master": str(death.master)}
        case decisions.Say() | decisions.Look() | decisions.PassOver():
            pass
    return fields


def _last(
    last: LastDeath | None, decision: decisions.Decision, *, ago: float, wall: float
) -> LastDeath | None:
    match decision:
        case decisions.Verdict(death):
            return LastDeath(str(death.master), wall - ago)
        case decisions.Ask(sentinel) if last and last.asked_after is None:
            return replace(last, asked=str(sentinel), asked_after=ago)
        case decisions.Done() | decisions.Withdraw() if last and not last.outcome:
            return replace(last, ended_after=ago, outcome=NAMES[type(decision)])
        case _:
            return last
