"""A machine on AWS tells CloudWatch how it is and what it logs; a failure loses nothing."""

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from node.telemetry import __main__ as command
from node.telemetry import cloudwatch
from node.telemetry.cloudwatch import CloudWatch, Origin, cut_into_batches
from node.telemetry.journal import Entry, parse_entries
from node.telemetry.metrics import (
    Reading,
    Sample,
    Share,
    parse_memory,
    parse_prometheus,
    samples,
)
from node.telemetry.reading import Sources, read
from redis_ha.eventlog import EventLog

WELL = Reading(
    healthy=True,
    memory=Share(1, 4),
    disk=Share(3, 4),
    worker={
        "redis_backup_working": 1.0,
        "redis_backup_last_snapshot_age_seconds": 12.5,
        "redis_backup_snapshot_age_limit_seconds": 50.0,
        "redis_backup_troubles": 2.0,
    },
)


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def origin(service: str, monkeypatch: pytest.MonkeyPatch) -> Origin:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return Origin("eu-central-1", "redis-ha", "redis-1", "/redis-ha", service)


def client(name: str, origin: Origin) -> Any:
    return boto3.client(name, region_name=origin.region, endpoint_url=origin.endpoint)


def test_a_node_tells_of_itself_and_the_working_worker_of_the_cluster() -> None:
    told = {s.name: s for s in samples(WELL)}
    assert told["Healthy"] == Sample("Healthy", 1.0)
    assert told["MemoryUsedPercent"].value == 25
    assert told["DataVolumeUsedPercent"].value == 75
    assert told["SnapshotAgePercent"] == Sample("SnapshotAgePercent", 25.0, "Percent", whole=True)
    assert told["BackupTroubles"].value == 2


def test_what_is_unknown_is_left_out_and_a_sick_node_is_told() -> None:
    assert samples(Reading(False, None, None, None)) == [Sample("Healthy", 0.0)]


def test_a_worker_that_stands_by_says_nothing_of_the_backup() -> None:
    assert WELL.worker is not None
    standing_by = Reading(True, None, None, {**WELL.worker, "redis_backup_working": 0.0})
    assert [s.name for s in samples(standing_by)] == ["Healthy"]


def test_a_worker_without_a_snapshot_gives_no_age_so_that_the_alarm_notices() -> None:
    fresh = Reading(True, None, None, {"redis_backup_working": 1.0})
    assert [s.name for s in samples(fresh)] == ["Healthy", "BackupTroubles"]


def test_the_workers_metrics_are_read_as_prometheus_writes_them() -> None:
    text = (
        "# HELP redis_backup_working 1 while this worker holds the lease\n"
        "# TYPE redis_backup_working gauge\nredis_backup_working 1.0\n"
        'python_info{version="3.13"} 1.0\nredis_backup_log_offset 1.234e+06 1700000000\n'
    )
    assert parse_prometheus(text) == {
        "redis_backup_working": 1.0,
        "redis_backup_log_offset": 1_234_000.0,
    }


def test_memory_that_can_be_given_back_is_free() -> None:
    text = "MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  600 kB\nHugePages_Total: 0\n"
    assert parse_memory(text).percent == 40


def test_a_machine_is_healthy_only_with_fresh_and_good_news_of_both(tmp_path: Path) -> None:
    files = [tmp_path / "data", tmp_path / "sentinel"]
    sources = Sources(health=files, data=tmp_path, worker=tmp_path)
    assert not read(sources).healthy
    files[0].write_text("ok master, 2 replicas\n")
    assert not read(sources).healthy
    files[1].write_text("ok watching\n")
    reading = read(sources)
    assert reading.healthy
    assert reading.memory is not None
    assert 0 < reading.memory.percent < 100
    # A folder of the root disk isn't the data volume, and nobody serves metrics here.
    assert (reading.disk, reading.worker) == (None, None)
    files[1].write_text("the server is loading its data\n")
    assert not read(sources).healthy


def test_journal_lines_become_entries_in_every_form_that_they_come_in() -> None:
    fields = {"__REALTIME_TIMESTAMP": "1700000000123456", "__CURSOR": "s=1;i=2"}
    lines = [
        json.dumps({**fields, "MESSAGE": "started", "_SYSTEMD_UNIT": "redis-ha-data.service"}),
        json.dumps({**fields, "MESSAGE": [104, 255, 105]}),
        json.dumps({**fields, "MESSAGE": None}),
    ]
    entries = list(parse_entries(lines))
    assert entries[0] == Entry(1_700_000_000_123, "redis-ha-data started", "s=1;i=2")
    assert [e.text for e in entries[1:]] == ["h\ufffdi", ""]


@given(st.lists(st.text(max_size=400), max_size=40), st.integers(1, 7), st.integers(500, 3000))
def test_batches_keep_every_line_in_order_within_the_services_limits(
    texts: list[str], events: int, size: int
) -> None:
    entries = [Entry(i, text, str(i)) for i, text in enumerate(texts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloudwatch, "BATCH_EVENTS", events)
        patch.setattr(cloudwatch, "BATCH_BYTES", size)
        patch.setattr(cloudwatch, "LONGEST_LINE", 300)
        batches = list(cut_into_batches(entries))
    assert [e.cursor for batch in batches for e in batch] == [e.cursor for e in entries]
    for batch in batches:
        assert 0 < len(batch) <= events
        assert sum(len(e.text.encode()) + 26 for e in batch) <= size
        assert all(texts[e.time_ms].startswith(e.text) for e in batch)


@given(st.lists(st.integers(0, 100), max_size=40))
def test_no_batch_spans_a_day_though_the_node_was_stopped_or_its_clock_set_back(
    hours: list[int],
) -> None:
    entries = [Entry(hour * 3_600_000, "line", str(i)) for i, hour in enumerate(hours)]
    batches = list(cut_into_batches(entries))
    assert [e for batch in batches for e in batch] == entries
    for batch in batches:
        times = [e.time_ms for e in batch]
        assert max(times) - min(times) < 24 * 3_600_000
    # Nothing is cut without need.
    for batch, following in pairwise(batches):
        times = [e.time_ms for e in (*batch, following[0])]
        assert max(times) - min(times) > 23 * 3_600_000


def test_lines_too_old_or_too_new_for_the_service_hold_nothing_up(origin: Origin) -> None:
    client("logs", origin).create_log_group(logGroupName="/third")
    speaker = CloudWatch(replace(origin, log_group="/third"))
    now, hour = int(time.time()) * 1000, 3_600_000
    entries = [
        Entry(now - 20 * 24 * hour, "stopped", "a"),
        Entry(now - 1, "started", "b"),
        Entry(now + 3 * hour, "ahead", "c"),
        Entry(now, "goes on", "d"),
    ]
    assert list(speaker.append(entries)) == ["a", "d"]
    where = {"logGroupName": "/third", "logStreamName": "redis-1"}
    events = client("logs", origin).get_log_events(**where, startFromHead=True)["events"]
    assert [e["message"] for e in events] == ["started", "goes on"]


def test_metrics_and_log_arrive(origin: Origin) -> None:
    client("logs", origin).create_log_group(logGroupName="/redis-ha")
    speaker = CloudWatch(origin)
    speaker.tell(samples(WELL))
    listed = client("cloudwatch", origin).list_metrics(Namespace="RedisHA")["Metrics"]
    dimensions = {m["MetricName"]: [d["Name"] for d in m["Dimensions"]] for m in listed}
    assert dimensions["Healthy"] == ["Cluster", "Node"]
    assert dimensions["SnapshotAgePercent"] == ["Cluster"]
    now = int(time.time()) * 1000
    # The stream is made when it is first needed, and an empty line is no reason to stop.
    entries = [Entry(now + 1, "second", "b"), Entry(now, "first", "a"), Entry(now + 2, "", "c")]
    assert list(speaker.append(entries)) == ["c"]
    where = {"logGroupName": "/redis-ha", "logStreamName": "redis-1"}
    events = client("logs", origin).get_log_events(**where, startFromHead=True)["events"]
    assert [e["message"].strip() for e in events] == ["first", "second", ""]


def test_a_place_in_the_journal_is_kept_only_once_its_lines_are_in(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    entries = [Entry(int(time.time()) * 1000, "line", "the place")]
    asked: list[str] = []

    def journal(cursor: str) -> Iterator[Entry]:
        asked.append(cursor)
        yield from entries

    monkeypatch.setattr(command, "read_journal", journal)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    patience = cloudwatch.Config(connect_timeout=1, retries={"max_attempts": 0})
    monkeypatch.setattr(cloudwatch, "_PATIENCE", patience)
    place = tmp_path / "cursor"
    cut_off = Origin("eu-central-1", "redis-ha", "redis-2", "/second", dead)
    lame = command.Telemetry(
        CloudWatch(cut_off), Sources(), place, EventLog("redis-2", component="telemetry")
    )
    lame.ship()
    lame.ship()
    assert not place.exists()
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(e["event"], e["what"]) for e in told] == [("telemetry-failed", "log")]
    client("logs", origin).create_log_group(logGroupName="/second")
    whole = Origin("eu-central-1", "redis-ha", "redis-2", "/second", origin.endpoint)
    sound = command.Telemetry(
        CloudWatch(whole), Sources(), place, EventLog("redis-2", component="telemetry")
    )
    sound.ship()
    sound.ship()
    assert place.read_text() == "the place"
    assert asked == ["", "", "", "the place"]
