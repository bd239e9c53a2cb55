"""Dates that a wall clock which leaps ahead can't carry along: what they judge is then deleted."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backup_worker.clock import Clocks
from redis_ha.eventlog import emit

# What a clock that is set by hand or after a pause of the machine may be off by untold.
_TOLD = timedelta(hours=1)


@dataclass(frozen=True)
class Moment:
    """Both clocks at once: the date, and seconds that never jump."""

    wall: datetime
    steady: float


def leap(since: Moment, now: Moment) -> timedelta:
    """Say how far the wall clock went beyond the time that passed; below zero: it was set back."""
    return now.wall - since.wall - timedelta(seconds=now.steady - since.steady)


def cautious(since: Moment, now: Moment) -> datetime:
    """Return the earlier of the wall clock's date and `since` plus the time that passed.

    A date that lags keeps for longer what it judges; one that is ahead deletes what is young.
    """
    return now.wall - max(timedelta(), leap(since, now))


@dataclass
class Calendar:
    """Tells the date, from its making on; a leap of the wall clock it logs once and ignores."""

    clocks: Clocks = field(default_factory=Clocks)
    _told: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._since = self._moment()

    def __call__(self) -> datetime:
        """Return the date."""
        now = self._moment()
        self._tell(leap(self._since, now))
        return cautious(self._since, now)

    def _moment(self) -> Moment:
        return Moment(self.clocks.wall(), self.clocks.steady())

    def _tell(self, ahead: timedelta) -> None:
        if ahead > _TOLD and not self._told:
            emit(
                "clock-leapt",
                level=logging.WARNING,
                seconds=round(ahead.total_seconds()),
                hint="set the clock right, or restart the worker if it is: until then its"
                " retention goes by the time that passed",
            )
        self._told = ahead > _TOLD
