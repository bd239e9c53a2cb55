"""What counts as trouble, what survives the file, and what a scrape sees."""

import socket
import ssl
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backup_worker import status as statuses
from backup_worker.errors import UsageError
from backup_worker.metrics import StatusCollector, served
from backup_worker.status import LogState, WorkerStatus
from redis_ha.connection import Address
from redis_ha.serving import own_end
from tests.processes.cluster_files import Tls, write_tls

LOG = LogState(
    source="redis-3",
    timeline="a" * 40,
    source_offset=1500,
    received=1400,
    sealed=1200,
    shipped=1000,
    behind_seconds=4.0,
    spool_bytes=200,
    spool_segments=1,
    gaps=2,
    open_gap="",
    problem="",
    spool_limit=800,
)
WELL = WorkerStatus(
    at=1000.0,
    worker="worker-1",
    role="working",
    term=7,
    interval=3600.0,
    seal_seconds=10.0,
    snapshot="20261124T083000Z-00000001",
    snapshot_age=600.0,
    proof_age=590.0,
    proving=True,
    snapshot_seconds=2.5,
    drill_seconds=1.5,
    restore_seconds=None,
    log=LOG,
    problem="",
)


def test_a_worker_whose_log_is_seconds_behind_is_well() -> None:
    assert WELL.troubles == []
    assert LOG.behind_bytes == 500


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (replace(WELL, snapshot=None, snapshot_age=None), "no snapshot yet"),
        (replace(WELL, snapshot_age=4539.0), "4539 s old"),
        (replace(WELL, proof_age=None), "no snapshot is proven"),
        (replace(WELL, proof_age=9080.0), "last proof is 9080 s old"),
        (replace(WELL, log=replace(LOG, open_gap="the backlog was outrun")), "outrun"),
        (replace(WELL, log=replace(LOG, problem="no replica can serve")), "no replica can serve"),
        (replace(WELL, log=replace(LOG, behind_seconds=61.0)), "61 s behind"),
        (replace(WELL, problem="the store is away"), "the store is away"),
        (replace(WELL, role="standing by", problem="the store is away"), "the store is away"),
    ],
)
def test_each_trouble_is_named(status: WorkerStatus, named: str) -> None:
    (trouble,) = status.troubles
    assert named in trouble


def test_what_takes_long_may_come_late_and_a_proof_later() -> None:
    assert WELL.age_limit == 4538
    assert replace(WELL, snapshot_age=4537.0, proof_age=9075.0).troubles == []
    slow = replace(WELL, snapshot_seconds=400.0, drill_seconds=200.0)
    assert slow.age_limit == 5730
    assert replace(WELL, snapshot_seconds=None, drill_seconds=None).age_limit == 4530


def test_one_that_stands_by_answers_for_no_snapshot() -> None:
    assert replace(WELL, role="standing by", snapshot_age=None, log=None).troubles == []


def test_proofs_are_missed_only_where_they_are_meant_to_be() -> None:
    assert replace(WELL, proof_age=None, proving=False).troubles == []


def test_a_log_that_is_switched_off_is_no_trouble() -> None:
    assert replace(WELL, log=None).troubles == []


@pytest.mark.parametrize("status", [WELL, replace(WELL, log=None, term=0)])
def test_the_file_gives_back_what_was_written(status: WorkerStatus, tmp_path: Path) -> None:
    (tmp_path / statuses.FILE_NAME).write_text(statuses.encode(status))
    assert statuses.load(tmp_path, now=status.at + 5) == status


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"troubles": [], "log": 3}'])
def test_a_file_that_is_no_status_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / statuses.FILE_NAME).write_text(text)
    assert statuses.load(tmp_path, now=0.0) is None


def test_a_status_that_nobody_renews_is_none(tmp_path: Path) -> None:
    (tmp_path / statuses.FILE_NAME).write_text(statuses.encode(WELL))
    assert statuses.load(tmp_path, now=WELL.at + statuses.STALE_SECONDS + 1) is None


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return write_tls(tmp_path / "tls")


def scrape(tls: Tls, port: int) -> dict[str, float]:
    context = ssl.create_default_context(cafile=str(tls.ca))
    url = f"https://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, context=context, timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_a_scrape_sees_the_status_of_that_moment(tls: Tls) -> None:
    shown = [WELL, replace(WELL, log=replace(LOG, open_gap="x"), proof_age=None)]
    serving = served(
        lambda: shown[0],
        Address("127.0.0.1", 0),
        certificate=tls.certificate,
        private_key=tls.key,
        ca=tls.ca,
    )
    with serving as port:
        first = scrape(tls, port)
        del shown[0]
        second = scrape(tls, port)
    ends = first["redis_backup_certificate_expiry_timestamp_seconds"]
    assert ends == own_end(tls.certificate, tls.key, ca=tls.ca)
    assert first["redis_backup_last_snapshot_age_seconds"] == 600
    assert first["redis_backup_log_lag_bytes"] == 500
    assert first["redis_backup_log_gaps_total"] == 2
    assert (first["redis_backup_working"], first["redis_backup_log_gap_open"]) == (1, 0)
    settings = ("interval_seconds", "log_seal_seconds", "spool_limit_bytes", "proving")
    assert [first[f"redis_backup_{name}"] for name in settings] == [3600, 10, 800, 1]
    assert second["redis_backup_log_gap_open"] == 1
    assert "redis_backup_last_proof_age_seconds" not in second


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (WELL, {"store_up": 1, "store_failures_total": 0, "proof_failed": 0, "standing_by": 0}),
        (replace(WELL, store_problem="it is away", store_failures=3),
         {"store_up": 0, "store_failures_total": 3}),
        (replace(WELL, proof_failed=True), {"proof_failed": 1}),
        (replace(WELL, role="standing by"), {"standing_by": 1, "working": 0}),
        (replace(WELL, role="starting"), {"standing_by": 0, "working": 0}),
        (replace(WELL, proving=False), {"proving": 0}),
    ],
)  # fmt: skip
def test_each_state_is_told(status: WorkerStatus, shown: dict[str, float]) -> None:
    families = list(StatusCollector(lambda: status, lambda: None).collect())
    told = {s.name.removeprefix("redis_backup_"): s.value for f in families for s in f.samples}
    assert {name: told[name] for name in shown} == shown


def test_a_client_that_says_nothing_holds_up_nobody(tls: Tls) -> None:
    serving = served(
        lambda: WELL,
        Address("127.0.0.1", 0),
        certificate=tls.certificate,
        private_key=tls.key,
        ca=None,
    )
    with serving as port, socket.create_connection(("127.0.0.1", port)):
        began = time.monotonic()
        assert scrape(tls, port)["redis_backup_lease_term"] == 7
        assert time.monotonic() - began < 5


def test_an_address_that_is_taken_is_named(tls: Tls) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = Address("127.0.0.1", other.getsockname()[1])
        serving = served(
            lambda: WELL, address, certificate=tls.certificate, private_key=tls.key, ca=tls.ca
        )
        with pytest.raises(UsageError, match=str(address)), serving:
            pass
