"""All that the page knows of a cluster, and how each look adds to it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from redis_ha.backup_report import BackupReport, Snapshot
from redis_ha.containers import ContainerView
from redis_ha.dashboard.history import Point, point, remembered
from redis_ha.health import RoundTrip
from redis_ha.observing import Course, Failover, advance, sight
from redis_ha.survey import NodeSurvey, SentinelSurvey, Survey

_MOST_FAILOVERS = 50
Member = TypeVar("Member", NodeSurvey, SentinelSurvey)


@dataclass(frozen=True)
class Look:
    """What all members said, and a write as the application; ended `at`, took `seconds`."""

    at: float
    seconds: float
    survey: Survey
    trip: RoundTrip

    @property
    def answered(self) -> bool:
        """Say whether anybody in the cluster answered."""
        return any(node.view.role for node in self.survey.nodes) or bool(self.survey.answering)


@dataclass(frozen=True)
class Thorough:
    """A survey that tried the members' rights and asked the witnesses, and the containers."""

    survey: Survey
    containers: Mapping[str, ContainerView] | str


@dataclass(frozen=True)
class Backups:
    """What the worker said at `at`; a text instead of the snapshots says why there are none."""

    at: float
    report: BackupReport
    snapshots: tuple[Snapshot, ...] | str


@dataclass(frozen=True)
class Known:
    """Times in seconds since 1970. `answered` is the last look that somebody answered.

    `problems` says of a kind of look (cluster, rights, backups) why the last could not be made.
    """

    began: float
    look: Look | None = None
    answered: Look | None = None
    thorough: Thorough | None = None
    backups: Backups | None = None
    course: Course = field(default_factory=Course)
    failovers: tuple[Failover, ...] = ()
    points: tuple[Point, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


def with_look(known: Known, look: Look) -> Known:
    """Add a look."""
    course = advance(known.course, sight(look.survey, look.at))
    new = () if course.last in (None, known.course.last) else (course.last,)
    return replace(
        known,
        look=look,
        answered=look if look.answered else known.answered,
        course=course,
        failovers=(*known.failovers, *new)[-_MOST_FAILOVERS:],
        points=remembered(known.points, point(look.survey, look.trip, look.at)),
    )


def with_thorough(known: Known, thorough: Thorough) -> Known:
    """Replace the thorough look."""
    return replace(known, thorough=thorough)


def with_backups(known: Known, backups: Backups) -> Known:
    """Replace what the worker said."""
    return replace(known, backups=backups)


def with_problem(known: Known, kind: str, problem: str) -> Known:
    """Note that a kind of look could not be made, or with "" that it was."""
    others = {name: text for name, text in known.problems.items() if name != kind}
    return replace(known, problems=others | ({kind: problem} if problem else {}))


def merged(survey: Survey, thorough: Thorough | None) -> Survey:
    """Add to a quick survey what only the last thorough one knows."""
    if thorough is None:
        return survey
    rights = {member.address: member for member in thorough.survey.members}
    return replace(
        survey,
        nodes=tuple(_with_lacks(node, rights.get(node.address)) for node in survey.nodes),
        sentinels=tuple(_with_lacks(s, rights.get(s.address)) for s in survey.sentinels),
        hearing=thorough.survey.hearing,
    )


def _with_lacks(member: Member, tried: NodeSurvey | SentinelSurvey | None) -> Member:
    answers = isinstance(member, SentinelSurvey) and member.answers
    if tried is None or not (answers or (isinstance(member, NodeSurvey) and member.view.role)):
        return member
    return replace(member, lacks=tried.lacks, witness_lacks=tried.witness_lacks)
