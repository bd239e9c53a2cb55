"""The crash path on request: SENTINEL FAILOVER as it is. Acknowledged writes may be lost.

For a master that can't be asked any more, or a cluster in which a switchover is refused.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis_ha.connection import Address
from redis_ha.discovery import Access, ask_nodes, ask_sentinel, ask_sentinels, majority_master
from redis_ha.errors import SwitchoverRefused, SwitchoverUncertain
from redis_ha.failover_request import Request, ask_for_failover, asking_order, request_state
from redis_ha.switchover_rules import promoted

_POLL_SECONDS = 0.05
_NOT_ASKED = "nothing was changed; see `redis-ha status`"
_UNFIT = "see `redis-ha ready`: a replica must be linked, and listed with a priority above 0"


@dataclass(frozen=True)
class Forced:
    """What was done: the master before (None: nobody knew), the new one, how long (s) it took."""

    old: Address | None
    new: Address
    seconds: float


def force_failover(
    access: Access,
    nodes: Sequence[Address],
    *,
    expected: Address | None = None,
    deadline_seconds: float = 20.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Forced:
    """Ask one sentinel after the other for a failover until a node is promoted.

    `expected` refuses when the sentinels' majority names another: who was promoted since somebody
    decided on this shall stay. Raises SwitchoverRefused when every sentinel refuses,
    SwitchoverUncertain when one accepted and no promotion was seen within the deadline.
    """
    began = clock()
    masters = [view.address for view in ask_nodes(access, nodes) if view.role == "master"]
    named = majority_master(ask_sentinels(access))
    if named is not None and expected not in (None, named):
        raise _refused(access, f"the sentinels name {named} by now, not {expected}", _NOT_ASKED)
    old = named or (masters[0] if len(masters) == 1 else None)
    # Who says master before anybody was asked is not promoted by it.
    others = [address for address in nodes if address not in (old, *masters)]
    answers: list[str] = []
    for sentinel in asking_order(access.sentinels, master=old, data_nodes=access.data_nodes):
        answer, text = ask_for_failover(access, sentinel)
        answers.append(f"{sentinel} {answer} {text}".rstrip())
        if answer == "refused":
            continue
        asked = clock()
        while True:
            # The sentinel first: a promotion that it completes in between is then still seen,
            # however long a silent node holds up the others' answers.
            request = Request(sentinel, answer, age=clock() - asked, text=text)
            state = request_state(request, ask_sentinel(access, sentinel))
            if (new := promoted(ask_nodes(access, others))) is not None:
                return Forced(old, new.address, clock() - began)
            if state == "over":
                break
            if clock() - began >= deadline_seconds:
                raise _uncertain(access, deadline_seconds)
            sleep(_POLL_SECONDS)
    raise _refused(access, "no replica was promoted (" + ", ".join(answers) + ")", _UNFIT)


def _refused(access: Access, cause: str, hint: str) -> SwitchoverRefused:
    return SwitchoverRefused(
        operation="force a failover of", subject=access.master_name, cause=cause, hint=hint
    )


def _uncertain(access: Access, seconds: float) -> SwitchoverUncertain:
    return SwitchoverUncertain(
        operation="force a failover of",
        subject=access.master_name,
        cause=f"no promotion was seen within {seconds:.0f} s",
        hint="see `redis-ha status`",
    )
