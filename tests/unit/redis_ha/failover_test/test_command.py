"""What a failover test leaves behind, also when it is ended early: the record first of all."""

import json
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from redis_ha.cli import failover_test as command
from redis_ha.cli.main import execute
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from redis_ha.errors import HarmRefused, NoMaster
from redis_ha.failover_test import campaign
from redis_ha.failover_test.expectation import LiveSettings
from redis_ha.failover_test.records import BEGUN, RunRecord
from redis_ha.failover_test.report import Circumstances
from redis_ha.failover_test.run import Run
from redis_ha.site import Member, Site
from redis_ha.upkeep.record import Deed, read_record, record_path
from tests.unit.redis_ha.failover_test.runs import FAULT, crash

SETTINGS = LiveSettings(down_after=2.0, min_replicas=1, max_lag=1.0)
ACCESS = Access((Address("h", 1),), "mymaster", Credentials("u", "p"), Path("ca"))
SITE = Site(ACCESS, None, (Member("redis-1", Address("h", 2)),), ())
ABOUT = Circumstances("mymaster", datetime(2026, 1, 2, tzinfo=UTC), SETTINGS, {})
REFUSED = HarmRefused(operation="begin", subject="it", cause="not healthy", hint="look")
NOBODY = NoMaster(operation="find", subject="it", cause="none says so", hint="wait")

# What one run does: it leaves a record, or raises before or after its fault has begun.
Act = Callable[[Run], RunRecord]
Trial = Callable[..., int]


def leaves(record: RunRecord) -> Act:
    return lambda _run: record


def raises(error: BaseException, *, begun: bool) -> Act:
    def act(run: Run) -> RunRecord:
        if begun:
            run.marks[BEGUN] = FAULT
        raise error

    return act


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return record_path(ACCESS, {"XDG_STATE_HOME": str(tmp_path / "state")}, home=tmp_path)


@pytest.fixture
def trial(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    """The command on a cluster whose runs go as the test says."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(command, "the_site", lambda _stack: SITE)
    monkeypatch.setattr(command, "circumstances", lambda *_: ABOUT)
    monkeypatch.setattr(campaign.steadiness, "live_settings", lambda _site: SETTINGS)

    def run(*acts: Act, args: tuple[str, ...] = ()) -> int:
        coming = iter(acts)

        def record(own: Run) -> RunRecord:
            return next(coming)(own)

        monkeypatch.setattr(Run, "record", record)
        return execute(["failover-test", "--yes", "--repeat", str(max(1, len(acts))), *args])

    yield run
    signal.signal(signal.SIGTERM, before)


def deeds(state: Path) -> dict[str, Deed]:
    return {deed.task: deed for deed in read_record(state)}


def test_a_run_that_failed_is_noted_though_the_next_is_refused(
    trial: Trial, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trial(leaves(crash(back_after=9.0)), raises(REFUSED, begun=False)) == 7
    (deed,) = deeds(state).values()
    assert (deed.task, deed.passed) == ("failover-test crash", False)
    assert deed.evidence.startswith("0 of 1 passed")
    said = capsys.readouterr()
    assert "redis-ha\t1\t9.0" in said.out
    assert "not healthy" in said.err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (NOBODY, 6)])
def test_a_fault_that_breaks_off_has_failed(
    trial: Trial, state: Path, error: BaseException, code: int
) -> None:
    assert trial(leaves(crash()), raises(error, begun=True)) == code
    deed = deeds(state)["failover-test crash"]
    assert not deed.passed
    assert deed.evidence.startswith("1 of 1 passed")
    assert f"broke off after the fault had begun: {type(error).__name__}" in deed.evidence


def test_the_first_run_that_breaks_off_is_noted_too(trial: Trial, state: Path) -> None:
    assert trial(raises(KeyboardInterrupt(), begun=True)) == 130
    assert not deeds(state)["failover-test crash"].passed


def test_a_fault_that_never_began_says_nothing(trial: Trial, state: Path) -> None:
    assert trial(raises(REFUSED, begun=False)) == 7
    assert deeds(state) == {}


def test_a_document_of_a_part_has_not_passed(
    trial: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trial(leaves(crash()), raises(NOBODY, begun=True), args=("--json",)) == 6
    found = json.loads(capsys.readouterr().out)
    assert (found["passed"], len(found["runs"])) == (False, 1)
    assert found["stopped"].startswith("NoMaster")


def test_a_page_of_a_part_has_not_passed(trial: Trial, state: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    args = ("--report", str(page))
    assert trial(leaves(crash()), raises(NOBODY, begun=True), args=args) == 6
    assert 'badge bad">failed' in page.read_text()
    assert "the test ended early: NoMaster" in page.read_text()
    assert "r.html sha256" in deeds(state)["failover-test crash"].evidence


def test_a_report_that_has_no_folder_is_refused_before_anything_is_hurt(
    trial: Trial, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trial(args=("--report", str(tmp_path / "missing" / "r.html"))) == 2
    assert "missing is no folder" in capsys.readouterr().err
    assert deeds(state) == {}


def test_a_page_that_can_not_be_written_keeps_nothing_out_of_the_record(
    trial: Trial, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()

    def gone(_run: Run) -> RunRecord:
        folder.rmdir()
        return crash(back_after=9.0)

    assert trial(gone, args=("--report", str(folder / "r.html"))) == 1
    deed = deeds(state)["failover-test crash"]
    assert (deed.passed, "sha256" in deed.evidence) == (False, False)
    assert "redis-ha\t1\t9.0" in capsys.readouterr().out


def test_a_damaged_record_is_told_before_anything_is_hurt(trial: Trial, state: Path) -> None:
    state.parent.mkdir(parents=True)
    state.write_text("{")
    assert trial() == 2


def test_a_cluster_that_can_not_be_described_is_not_hurt(
    trial: Trial, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> Circumstances:
        raise NOBODY

    monkeypatch.setattr(command, "circumstances", away)
    assert trial() == 6
    assert deeds(state) == {}
