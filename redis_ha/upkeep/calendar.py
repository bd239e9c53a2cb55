"""What is due when: health each day, logs each week, a failover test each month, and so on.

Pure: deeds and the time come in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from redis_ha.upkeep.record import Deed, credible, dated_ahead, last

# A task is due a little before its time is over, so that "each day at nine" stays at nine.
EARLY = 0.05
FAILOVER_TESTS = ("failover-test crash", "failover-test partition")


@dataclass(frozen=True)
class Task:
    """Something that comes up again every so often; `commands` are of `redis-ha`.

    One that is `harmless` changes nothing and can be run unasked. `records` are the deeds that
    count for it, its own name unless others are given.
    """

    name: str
    every: timedelta
    what: str
    commands: tuple[tuple[str, ...], ...] = ()
    harmless: bool = False
    records: tuple[str, ...] = ()

    @property
    def notes_itself(self) -> bool:
        """Say whether commands do it, which note how they ended; else a person does."""
        return bool(self.commands)

    @property
    def deeds(self) -> tuple[str, ...]:
        return self.records or (self.name,)


@dataclass(frozen=True)
class Standing:
    """How a task stands: when it last ended well and when it is due; `failed` since then.

    `ahead` is a deed that is dated in the future and doesn't count.
    """

    task: Task
    done: Deed | None
    failed: Deed | None
    due_at: datetime | None
    due: bool
    ahead: Deed | None = None


TASKS = (
    Task(
        "health",
        timedelta(days=1),
        "the four levels, and whether a failover would work",
        (("health",), ("ready",)),
        harmless=True,
    ),
    Task(
        "logs",
        timedelta(days=7),
        "what failed over and why, what the nodes warn of, known troubles",
        (
            ("events", "--since", "7d"),
            ("logs", "--since", "7d", "--level", "warning"),
            ("doctor",),
        ),
        harmless=True,
    ),
    Task(
        "failover-test",
        timedelta(days=30),
        "a crash and a partition, with writers; tell the applications' owners",
        (("failover-test", "--fault", "crash", "--fault", "partition", "--report", "FILE"),),
        records=FAILOVER_TESTS,
    ),
    Task(
        "versions",
        timedelta(days=91),
        "Redis, Debian and this project: security updates, one node at a time",
    ),
    Task(
        "review",
        timedelta(days=365),
        "who has which password, certificates' ends, capacity, the runbooks, a restore by hand",
    ),
)


def standings(
    deeds: Sequence[Deed], *, now: datetime, cluster: Sequence[str] = ()
) -> tuple[Standing, ...]:
    """Say of each task whether it is due: never done well, done too long ago, or failed since.

    What is dated in the future doesn't count, nor what was done to another `cluster`.
    """
    ahead = {deed.task: deed for deed in dated_ahead(deeds, now=now)}
    counting = credible(deeds, now=now, cluster=cluster)
    return tuple(
        replace(
            _standing(task, counting, now),
            ahead=next((ahead[name] for name in task.deeds if name in ahead), None),
        )
        for task in TASKS
    )


def _standing(task: Task, deeds: Sequence[Deed], now: datetime) -> Standing:
    goods = [last(deeds, name, passed=True) for name in task.deeds]
    known = [deed for deed in goods if deed is not None]
    # Of several that belong together the one that is longest ago counts.
    done = min(known, key=lambda deed: deed.at) if len(known) == len(goods) else None
    failures = [last(deeds, name, passed=False) for name in task.deeds]
    since = [
        bad
        for bad, good in zip(failures, goods, strict=True)
        if bad is not None and (good is None or bad.at > good.at)
    ]
    failed = max(since, key=lambda deed: deed.at, default=None)
    due_at = None if done is None else done.at + task.every * (1 - EARLY)
    return Standing(
        task, done, failed, due_at, due_at is None or failed is not None or now >= due_at
    )
