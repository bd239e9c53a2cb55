"""A real Laravel application through a crash, a hang and a switchover, beside a stock one."""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.processes.laravel.application import Application, gap, operator_settings

LOG = logging.getLogger(__name__)
# Of the cluster that the fixture gives, in seconds.
DOWN_AFTER = 2.0
RUN_SECONDS = 22.0
WRITERS = 4


def _crash(application: Application) -> None:
    application.cluster.master.kill()


def _hang(application: Application) -> None:
    application.cluster.master.pause()


def _switch_over(application: Application) -> None:
    code, text = application.artisan(
        "redis:ha", "failover", "--yes", "--json", **operator_settings()
    )
    assert code == 0, text
    assert json.loads(text)["lossless"], text


@pytest.mark.parametrize(
    "fault", [_crash, _hang, _switch_over], ids=["crash", "hang", "switchover"]
)
def test_the_application_goes_on_where_stock_laravel_does_not(
    application: Application, fault: Callable[[Application], None]
) -> None:
    writers = [application.act("write", RUN_SECONDS, f"{n}") for n in range(WRITERS)]
    stock = application.stock(RUN_SECONDS, "stock")
    worker = application.artisan_running("queue:work", "--sleep=0", "--tries=3", "--max-time=40")
    dispatcher = application.act("dispatch", RUN_SECONDS)
    pop = application.act("pop", RUN_SECONDS + 5)
    appender = application.act("append", RUN_SECONDS)
    for actor in (*writers, stock, dispatcher, appender):
        _wait_for_writes(application, lambda actor=actor: len(actor.acknowledged), 20)  # type: ignore[misc]
    _wait_for_writes(application, lambda: min(len(w.acknowledged) for w in writers), 160)
    old = application.cluster.master

    began = time.time()
    fault(application)

    new = application.cluster.wait_for_master(other_than=old)
    for actor in (*writers, stock, dispatcher, appender):
        actor.wait(RUN_SECONDS + 20)
    before = [a for w in writers for a in w.acknowledged if began - 2 < a["at"] < began]
    assert len(before) / 2 >= 150, "acknowledged writes/s before the fault"
    outage = gap(writers)
    most = 1.5 if fault is _switch_over else DOWN_AFTER + 2
    assert outage <= most, [w.failures for w in writers]
    for writer in writers:
        assert writer.acknowledged[-1]["at"] > began + RUN_SECONDS - 8, "stuck"
        assert len(writer.failures) <= 1, writer.failures
    # The stock writer had no success any more once the fault had done its work.
    assert not [a for a in stock.acknowledged if a["at"] > began + 8], "stock recovered"
    assert stock.failures

    with new.client(timeout=10.0) as client:
        names = [f"test:w:{n}:{a['n']}" for n, w in enumerate(writers) for a in w.acknowledged[::2]]
        facade = [name for name in names if int(name.rsplit(":", 1)[1]) % 2 == 0]
        lost = [name for name in facade if client.get(name) is None]
        appended = Counter(client.lrange("test:a:0", 0, -1))
        if fault is _switch_over:
            assert not lost
        assert not [n for n, times in appended.items() if times > 1], "a write was made twice"
        assert worker.process.poll() is None, "the queue worker ended"
        application.cluster.wait_for(lambda: _jobs_done(application) >= _dispatched(dispatcher))
        client.rpush("test:pop", "late")
    application.cluster.wait_for(lambda: bool(pop.lines))
    assert pop.lines[0]["value"] == ["test:pop", "late"]
    assert "redis-ha: master changed" in application.log
    stock_last = max(a["at"] for a in stock.acknowledged) - began
    figures = (fault.__name__, outage, len(lost), len(facade), stock_last)
    LOG.info("%s: outage %.2f s, lost %d of %d; stock's last write at %.1f s", *figures)


def _jobs_done(application: Application) -> int:
    return len(set(application.jobs.read_text().split())) if application.jobs.exists() else 0


def _dispatched(dispatcher: object) -> int:
    return len(dispatcher.acknowledged) - 1  # type: ignore[attr-defined]


def _wait_for_writes(application: Application, count: Callable[[], int], least: int) -> None:
    application.cluster.wait_for(lambda: count() >= least, explain=lambda: _errors(application))


def _errors(application: Application) -> list[str]:
    return [
        a.output.with_suffix(".err").read_text()[-300:] + str(a.lines[-1:])
        for a in application.actors
    ]
