"""The worker's status as Prometheus metrics, over TLS."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from backup_worker.errors import UsageError
from backup_worker.status import LogState, WorkerStatus
from redis_ha import serving
from redis_ha.connection import Address

_PREFIX = "redis_backup_"
Family = GaugeMetricFamily | CounterMetricFamily


class StatusCollector(Collector):
    """Turns the status at the time of a scrape into metrics; what is unknown is left out."""

    def __init__(
        self, status: Callable[[], WorkerStatus], certificate_end: Callable[[], float | None]
    ) -> None:
        self._status = status
        self._certificate_end = certificate_end

    def collect(self) -> Iterator[Family]:
        """Yield every metric."""
        status = self._status()
        yield from _worker_metrics(status)
        if status.log is not None:
            yield from _log_metrics(status.log)
        if (end := self._certificate_end()) is not None:
            text = "Until when the worker's own certificate is valid, and its CA's"
            yield _gauge("certificate_expiry_timestamp_seconds", text, end)


def _worker_metrics(status: WorkerStatus) -> Iterator[Family]:
    yield _gauge("working", "1 while this worker holds the lease", status.role == "working")
    yield _gauge("lease_term", "Term of the lease held, 0 for none", status.term)
    standing_by = status.role == "standing by"
    yield _gauge("standing_by", "1 while this worker waits for another's lease", standing_by)
    yield _gauge("troubles", "How many things an operator should look at", len(status.troubles))
    yield _gauge("interval_seconds", "From one snapshot to the next", status.interval)
    text = "How old the newest good snapshot may be before the next is overdue"
    yield _gauge("snapshot_age_limit_seconds", text, status.age_limit)
    yield _gauge("log_seal_seconds", "How long a log segment grows", status.seal_seconds)
    yield from _proof_metrics(status)
    yield from _store_metrics(status)
    timed = (
        ("last_snapshot_age_seconds", "Age of the newest good snapshot", status.snapshot_age),
        ("last_proof_age_seconds", "Age of the newest proof of a snapshot", status.proof_age),
        ("snapshot_seconds", "How long the last snapshot took", status.snapshot_seconds),
        ("drill_seconds", "How long the last drill took", status.drill_seconds),
        ("restore_seconds", "How long the last restore took", status.restore_seconds),
    )
    yield from (_gauge(name, text, value) for name, text, value in timed if value is not None)


def _proof_metrics(status: WorkerStatus) -> Iterator[Family]:
    yield _gauge("proving", "1 while snapshots are meant to be proven", status.proving)
    text = "1 while the newest snapshot that was tried is not what it should be"
    yield _gauge("proof_failed", text, status.proof_failed)


def _store_metrics(status: WorkerStatus) -> Iterator[Family]:
    text = "1 unless the last request of this worker's lease failed at the store"
    yield _gauge("store_up", text, not status.store_problem)
    text = "Requests of this worker's lease that the store did not answer"
    yield CounterMetricFamily(f"{_PREFIX}store_failures", text, value=status.store_failures)


def _log_metrics(log: LogState) -> Iterator[Family]:
    yield _gauge("log_lag_bytes", "What the source has and the store has not", log.behind_bytes)
    yield _gauge("log_lag_seconds", "Age of the oldest byte not yet stored", log.behind_seconds)
    yield _gauge("log_offset", "Replication offset up to which the store holds", log.shipped)
    yield _gauge("log_connected", "1 while the stream is followed", bool(log.source))
    yield _gauge("log_gap_open", "1 while a gap is not closed by a snapshot", bool(log.open_gap))
    yield _gauge("spool_bytes", "Sealed and open bytes that wait for the store", log.spool_bytes)
    yield _gauge("spool_limit_bytes", "Bytes that may wait for the store", log.spool_limit)
    yield _gauge("spool_segments", "Sealed segments that wait for the store", log.spool_segments)
    yield CounterMetricFamily(
        f"{_PREFIX}log_gaps", "Gaps in the log since the worker started", value=log.gaps
    )


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(_PREFIX + name, text, value=float(value))


@contextmanager
def served(
    status: Callable[[], WorkerStatus],
    address: Address,
    *,
    certificate: Path,
    private_key: Path,
    ca: Path | None,
) -> Iterator[int]:
    """Serve `https://address/metrics` during the block; gives the port. Raises UsageError.

    `ca` is the one that clients trust.
    """

    def certificate_end() -> float | None:
        with suppress(OSError, ValueError):
            return None if ca is None else serving.own_end(certificate, private_key, ca=ca)
        return None

    registry = CollectorRegistry()
    registry.register(StatusCollector(status, certificate_end))
    with ExitStack() as stack:
        try:
            port = stack.enter_context(
                serving.served(
                    make_wsgi_app(registry),
                    address,
                    certificate=certificate,
                    private_key=private_key,
                )
            )
        except OSError as error:
            raise UsageError(
                operation="serve",
                subject=f"metrics on {address}",
                cause=error.strerror or str(error),
                hint="set REDIS_BACKUP_METRICS_HOST and _PORT to a free address, or leave them out",
            ) from error
        yield port
