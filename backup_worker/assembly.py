"""Puts a worker together from its settings."""

from collections.abc import Callable
from dataclasses import dataclass

from backup_worker.calendar import Calendar
from backup_worker.catalog import Catalog
from backup_worker.config import WorkerConfig
from backup_worker.demand import Demand
from backup_worker.log.follower import Follower, Hooks
from backup_worker.log.following import Following
from backup_worker.log.timeline import Position
from backup_worker.manifest import Kind, ReplicationPoint
from backup_worker.progress import Report
from backup_worker.proving.drill import Proving
from backup_worker.pruning import Pruning
from backup_worker.rounds import Rounds
from backup_worker.snapshot import Destination, Taken, take_snapshot
from backup_worker.store.contract import Store
from backup_worker.worker import Parts
from redis_ha.discovery import Access

_LOG_SPOOL = "log-spool"


@dataclass(frozen=True)
class Settings:
    """The cluster as the backup user reaches it, the worker's settings, whose signatures count."""

    access: Access
    config: WorkerConfig
    trusted: tuple[bytes, ...]


def parts(
    settings: Settings,
    destination: Callable[[Callable[[], None]], Destination],
    lease_store: Callable[[], Store],
) -> Parts:
    """Wire the worker; what opens a store is called by the worker, and again when it fails."""
    log = settings.config.log.enabled
    # From the start of the process on: a lease may come after the clock has leapt.
    calendar = Calendar()
    return Parts(
        destination,
        lease_store,
        following=lambda opened, demand: _following(settings, opened, demand) if log else None,
        rounds=lambda opened, term, demand: _rounds(settings, opened, term, demand, calendar),
    )


def _following(settings: Settings, destination: Destination, demand: Demand) -> Following:
    def follower(may_publish: Callable[[], None], term: Callable[[], int]) -> Follower:
        return Follower(
            settings.access,
            destination,
            spool=settings.config.state / _LOG_SPOOL,
            settings=settings.config.log,
            trusted=settings.trusted,
            hooks=Hooks(
                term,
                may_publish,
                on_gap=lambda gap: demand.ask(gap.reason, _point(gap.again)),
                newest_snapshot=lambda: _newest_point(settings, destination),
            ),
        )

    return Following(follower)


def _point(position: Position | None) -> ReplicationPoint | None:
    if position is None:
        return None
    return ReplicationPoint(position.timeline.replid, position.offset, position.db or 0)


def _newest_point(settings: Settings, destination: Destination) -> ReplicationPoint | None:
    latest = Catalog(destination.store, settings.trusted).list().latest
    manifest = None if latest is None else latest.manifest
    return None if manifest is None else manifest.replication


def _rounds(
    settings: Settings, destination: Destination, term: int, demand: Demand, calendar: Calendar
) -> Rounds:
    proving = Proving(settings.config.state) if settings.config.drill else None

    def take(kind: Kind, report: Report) -> Taken:
        return take_snapshot(
            settings.access, destination, kind=kind, term=term, proving=proving, report=report
        )

    return Rounds(
        catalog=lambda: Catalog(destination.store, settings.trusted),
        take=take,
        prune=Pruning(settings.config.retention, calendar),
        interval=settings.config.interval,
        demand=demand,
        clocks=calendar.clocks,
    )
