"""CloudWatch as this machine uses it: put metrics, append to its own log stream."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from node.telemetry.journal import Entry
from node.telemetry.metrics import Sample

NAMESPACE = "RedisHA"
# PutLogEvents: at most 10,000 events and 1 MiB with 26 bytes for each, within 24 hours; a line at
# most 256 KiB.
BATCH_EVENTS, BATCH_BYTES, EVENT_OVERHEAD, LONGEST_LINE = 1_000, 900_000, 26, 200_000
BATCH_SPAN_MS = 23 * 3_600_000
_PATIENCE = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard"})


@dataclass(frozen=True)
class Origin:
    """Who speaks: the cluster, the node, and where; `endpoint` replaces AWS's own in tests."""

    region: str
    cluster: str
    node: str
    log_group: str
    endpoint: str | None = None


class CloudWatch:
    """One node's metrics and log stream."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        place: dict[str, Any] = {
            "region_name": origin.region,
            "endpoint_url": origin.endpoint,
            "config": _PATIENCE,
        }
        self._metrics: Any = boto3.client("cloudwatch", **place)
        self._logs: Any = boto3.client("logs", **place)

    def tell(self, samples: Sequence[Sample]) -> None:
        """Put metrics. Errors: botocore's."""
        self._metrics.put_metric_data(
            Namespace=NAMESPACE, MetricData=[self._datum(sample) for sample in samples]
        )

    def append(self, entries: Iterable[Entry]) -> Iterator[str]:
        """Append to the log; yields the cursor after each batch that is in. Errors: botocore's.

        Lines of more than 14 days ago, or dated more than 2 hours ahead, the service leaves out of
        a batch that it takes (rejectedLogEventsInfo): asking again would change nothing.
        """
        for batch in cut_into_batches(entries):
            self._put(batch)
            yield batch[-1].cursor

    def _put(self, batch: Sequence[Entry]) -> None:
        events = [{"timestamp": e.time_ms, "message": e.text or " "} for e in batch]
        # A clock that was set back must not make a batch that the service refuses.
        events.sort(key=lambda event: int(str(event["timestamp"])))
        where = {"logGroupName": self._origin.log_group, "logStreamName": self._origin.node}
        try:
            self._logs.put_log_events(**where, logEvents=events)
        except self._logs.exceptions.ResourceNotFoundException:
            self._logs.create_log_stream(**where)
            self._logs.put_log_events(**where, logEvents=events)

    def _datum(self, sample: Sample) -> dict[str, Any]:
        dimensions = [{"Name": "Cluster", "Value": self._origin.cluster}]
        if not sample.whole:
            dimensions.append({"Name": "Node", "Value": self._origin.node})
        return {
            "MetricName": sample.name,
            "Value": sample.value,
            "Unit": sample.unit,
            "Dimensions": dimensions,
        }


def cut_into_batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Group entries so that each group fits into one call; an overlong line is cut."""
    batch = _Batch()
    for entry in entries:
        text = entry.text.encode()[:LONGEST_LINE].decode(errors="ignore")
        short = Entry(entry.time_ms, text, entry.cursor)
        if batch.entries and not batch.has_room_for(short):
            yield batch.entries
            batch = _Batch()
        batch.add(short)
    if batch.entries:
        yield batch.entries


class _Batch:
    """Entries of one call; their times (ms) go back where the clock was set back."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._size = 0
        self._times: tuple[int, ...] = ()

    def has_room_for(self, entry: Entry) -> bool:
        times = (*self._times, entry.time_ms)
        return (
            len(self.entries) < BATCH_EVENTS
            and self._size + _cost(entry) <= BATCH_BYTES
            and max(times) - min(times) <= BATCH_SPAN_MS
        )

    def add(self, entry: Entry) -> None:
        times = (*self._times, entry.time_ms)
        self.entries.append(entry)
        self._size += _cost(entry)
        self._times = min(times), max(times)


def _cost(entry: Entry) -> int:
    return len(entry.text.encode()) + EVENT_OVERHEAD
