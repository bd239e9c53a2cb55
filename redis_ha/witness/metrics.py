"""What the witnesses said as rows of metrics, for whatever exposes them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from redis_ha.witness.hearing import Hearing
from redis_ha.witness.report import Report
from redis_ha.witness.status import COUNTERS, STATES, Counter

_HELP: Mapping[Counter, str] = {
    "verdicts": "Deaths of a master that the witness saw.",
    "asked": "Failovers that the witness asked a sentinel for.",
    "accepted": "Failovers asked for that a sentinel took up.",
    "withdrawn": "Deaths taken back because the master answered again.",
    "fenced": "Old masters that the witness kept from writing beside their successor.",
    "rejected": "Messages on the witnesses' channels that were not theirs.",
}


@dataclass(frozen=True)
class Row:
    """One sample; names of counters end in _total, as Prometheus wants them."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: Mapping[str, str]
    value: float


def metric_rows(hearing: Hearing) -> list[Row]:
    """Give the samples of all witnesses that answered, and how many listen."""
    text = "Witnesses that listen on the data node over which they were asked."
    listening = Row("redis_ha_witness_listening", "gauge", text, {}, hearing.listening)
    return [listening, *(row for report in hearing.reports for row in _rows(report))]


def _rows(report: Report) -> list[Row]:
    status, labels = report.status, {"witness": str(report.number)}
    counts = [
        Row(f"redis_ha_witness_{name}_total", "counter", _HELP[name], labels, getattr(status, name))
        for name in COUNTERS
    ]
    known = status.state if status.state in STATES else "other"
    states = [
        Row(
            "redis_ha_witness_state",
            "gauge",
            "1 for what the witness does now, 0 for everything else.",
            labels | {"state": state},
            float(state == known),
        )
        for state in (*STATES, "other")
    ]
    text = "Data nodes and sentinels that the witness is not connected to."
    lost = Row(
        "redis_ha_witness_unreachable", "gauge", text, labels, float(len(status.unreachable))
    )
    return [*counts, *states, lost]
