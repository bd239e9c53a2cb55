"""What repeated looks at a cluster add up to: whether it has a master, outages, failovers. Pure.

For whatever watches a cluster for longer than one command. Nothing is known of the time before the
first look, and an outage is as exact as the looks are close.
"""

from dataclasses import dataclass, replace
from math import inf

from redis_ha.survey import NodeSurvey, Survey


@dataclass(frozen=True)
class Sight:
    """The mastership in one look at `at` (s, any clock): `master` None unless it is available.

    `epoch` is the highest configuration epoch of the sentinels that name it, 0 without a master.
    """

    at: float
    master: str | None = None
    epoch: int = 0


@dataclass(frozen=True)
class Failover:
    """Another master than before, first seen at `at`; `seconds` is how long none was seen."""

    at: float
    old: str
    new: str
    epoch: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Course:
    """All sights so far, folded; `master` and `epoch` are of the last look that saw a master.

    `down_since` is when the present outage was first seen, None while there is a master;
    `outage_seconds` sums the outages up to the last look, `last` is the latest failover.
    """

    at: float = -inf
    master: str | None = None
    epoch: int = 0
    down_since: float | None = None
    outage_seconds: float = 0.0
    failovers: int = 0
    last: Failover | None = None


def sight(survey: Survey, at: float) -> Sight:
    """Say whether a survey shows one writable master, named by a majority of the sentinels."""
    leader = survey.leader
    if leader is None or len(writable_masters(survey)) != 1:
        return Sight(at)
    naming = (s.epoch for s in survey.answering if s.view.master == leader.address)
    return Sight(at, survey.name(leader.address), max(naming, default=0))


def writable_masters(survey: Survey) -> tuple[NodeSurvey, ...]:
    """Return the masters that neither load their data nor lack the replicas that writes need."""
    return tuple(node for node in survey.masters if not _refuses(node))


def _refuses(node: NodeSurvey) -> bool:
    needed = int(node.config.get("min-replicas-to-write") or 0)
    return node.view.loading or (
        node.view.fenced and node.number("min_slaves_good_slaves", needed) < needed
    )


def advance(course: Course, seen: Sight) -> Course:
    """Add a look to those before it."""
    down = course.down_since is not None
    gone = max(0.0, seen.at - course.at) if down else 0.0
    course = replace(course, at=seen.at, outage_seconds=course.outage_seconds + gone)
    if seen.master is None:
        return replace(course, down_since=course.down_since if down else seen.at)
    last = _failover(course, seen)
    return replace(
        course,
        master=seen.master,
        epoch=max(course.epoch, seen.epoch),
        down_since=None,
        failovers=course.failovers + (last is not None),
        last=last or course.last,
    )


def _failover(course: Course, seen: Sight) -> Failover | None:
    """Return the failover that lies between the last master and this one, if there is one."""
    # The same master with a higher epoch is one that came back between two looks.
    if course.master is None or (seen.master == course.master and seen.epoch <= course.epoch):
        return None
    seconds = 0.0 if course.down_since is None else seen.at - course.down_since
    return Failover(seen.at, course.master, seen.master or "", seen.epoch, seconds)
