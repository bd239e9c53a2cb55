"""CloudWatch as this machine uses it: put metrics, append to its own log stream."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from node.telemetry.journal import Entry
from node.telemetry.metrics import Sample

NAMESPACE = "RedisHA"
# PutLogEvents: at most 10,000 events and 1 MiB with 26 bytes for each; a line at most 256 KiB.
BATCH_EVENTS, BATCH_BYTES, EVENT_OVERHEAD, LONGEST_LINE = 1_000, 900_000, 26, 200_000
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
        """Append to the log; yields the cursor after each batch that is in. Errors: botocore's."""
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
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        text = entry.text.encode()[:LONGEST_LINE].decode(errors="ignore")
        cost = len(text.encode()) + EVENT_OVERHEAD
        if batch and (len(batch) >= BATCH_EVENTS or size + cost > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(Entry(entry.time_ms, text, entry.cursor))
        size += cost
    if batch:
        yield batch
