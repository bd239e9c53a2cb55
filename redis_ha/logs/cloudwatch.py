"""Lines of a machine on AWS, out of the stack's log group (node/telemetry ships them there)."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from redis_ha.errors import Unreachable
from redis_ha.logs.line import Line
from redis_ha.logs.source import Window

# A machine ships its journal every ten seconds.
_DELAY_SECONDS = 15.0
_POLL_SECONDS = 5.0


@dataclass(frozen=True)
class CloudWatchSource:
    """One machine's stream; `units` names the node of those units that are another's."""

    machine: str
    group: str
    region: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    endpoint: str | None = None
    delay: float = _DELAY_SECONDS

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset({self.machine, *self.units.values()})

    def node_of(self, unit: str) -> str:
        return self.units.get(unit, self.machine)

    def lines(self, window: Window, stop: threading.Event | None) -> Iterator[Line | None]:
        """Yield its lines; raises Unreachable when CloudWatch can't be asked."""
        begin = _milliseconds(window.since) if window.since else 0
        last, known = begin, set[str]()
        while True:
            for event in self._events(last, window):
                if event["eventId"] in known:
                    continue
                if event["timestamp"] > last:
                    last, known = event["timestamp"], set()
                known.add(event["eventId"])
                yield _line(event)
            if stop is None or stop.wait(_POLL_SECONDS):
                return
            yield None

    def _events(self, begin: int, window: Window) -> Iterator[Any]:
        import boto3  # noqa: PLC0415 - only a stack on AWS needs it
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        asked: dict[str, Any] = {"startTime": begin}
        if window.until:
            asked["endTime"] = _milliseconds(window.until)
        try:
            client = boto3.client("logs", region_name=self.region, endpoint_url=self.endpoint)
            pages = client.get_paginator("filter_log_events").paginate(
                logGroupName=self.group, logStreamNames=[self.machine], **asked
            )
            for page in pages:
                yield from page["events"]
        except (BotoCoreError, ClientError) as error:
            raise Unreachable(
                operation="read the log of",
                subject=f"{self.machine} in {self.group}",
                cause=str(error),
                hint="check REDIS_LOG_GROUP and REDIS_LOG_REGION, and that you may"
                " logs:FilterLogEvents",
            ) from error


def _line(event: Mapping[str, Any]) -> Line:
    """Cut off the unit, which the journal's shipper puts first."""
    unit, _, text = str(event["message"]).partition(" ")
    received = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    if unit.startswith("redis-ha-"):
        return Line(text, received, unit)
    return Line(str(event["message"]), received)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
