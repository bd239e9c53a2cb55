"""Connections cut between a write and its answer: what was applied is not made again."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes.cluster import Cluster, Settings
from tests.processes.cluster_files import certificates
from tests.processes.laravel.application import Actor, ClusterApplication, settings
from tests.processes.laravel.relay import HOST, Relays

# Ten cuts, each with a reconnect, take 4 s on a quiet machine; an actor counts from its own start.
SECONDS = 15.0
CUTS = 10


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Give a healthy cluster whose certificate is for the relays' address, too."""
    cluster = Cluster.prepare(tmp_path, Settings())
    _, certificate, _ = certificates("127.0.0.1", HOST)
    cluster.tls.certificate.write_bytes(certificate)
    try:
        cluster.start_all()
        yield cluster
    finally:
        cluster.end()


@pytest.fixture
def relays(application: ClusterApplication) -> Iterator[Relays]:
    """Send all that the application does through relays, by its host override."""
    cluster = application.cluster
    nodes = [node.address for node in (*cluster.data_nodes, *cluster.sentinels)]
    application.connection = settings(cluster) | {"REDIS_HOST_OVERRIDE": HOST}
    with Relays.before(nodes) as running:
        yield running


def cut_again_and_again(application: ClusterApplication, relays: Relays, actor: Actor) -> None:
    master = application.cluster.master.address
    application.wait_for(lambda: len(actor.acknowledged) > 20)
    for number in range(1, CUTS + 1):
        relays.cut_at_next_answer(master)
        application.wait_for(lambda number=number: relays.cuts == number)  # type: ignore[misc]
        done = len(actor.acknowledged)
        application.wait_for(lambda done=done: len(actor.acknowledged) > done + 2)  # type: ignore[misc]
    assert actor.process.poll() is None, "it ended before the last cut"
    actor.wait(30)


def test_a_write_that_was_applied_before_the_cut_is_made_once(
    application: ClusterApplication, relays: Relays, figure: Callable[[str], None]
) -> None:
    actor = application.act("append", SECONDS)
    cut_again_and_again(application, relays, actor)
    failed = [line for line in actor.lines if not line["ok"]]
    assert {line["error"].rpartition("\\")[2] for line in failed} == {"OutcomeUnknown"}
    with application.cluster.master.client() as client:
        made = Counter(int(n) for n in client.lrange("test:a:0", 0, -1))
    # One cut may hit the handshake or the question of a new connection: nothing was sent by then.
    assert CUTS - 3 <= len(failed) <= CUTS
    assert [made[line["n"]] for line in failed] == [1] * len(failed)
    assert set(made.values()) == {1}
    assert len(made) == len(actor.lines)
    figure(f"{relays.cuts} cuts, {len(failed)} unknown outcomes, each write made once")


def test_what_may_be_repeated_shows_nothing_of_it(
    application: ClusterApplication, relays: Relays
) -> None:
    actor = application.act("write", SECONDS)
    cut_again_and_again(application, relays, actor)
    assert actor.failures == []
    assert "redis-ha: call repeated" in application.log


def test_the_cache_forgets_and_shows_nothing_of_it(
    application: ClusterApplication, relays: Relays
) -> None:
    actor = application.act("forget", SECONDS)
    cut_again_and_again(application, relays, actor)
    assert actor.failures == []
    with application.cluster.master.client() as client:
        assert [name for name in client.keys("*") if ":f:" in name] == []


def test_a_reply_that_tells_something_is_never_that_of_a_repetition(
    application: ClusterApplication, relays: Relays
) -> None:
    actor = application.act("sign", SECONDS)
    cut_again_and_again(application, relays, actor)
    assert {line["value"] for line in actor.acknowledged} == {1}
    failed = [line for line in actor.lines if not line["ok"]]
    assert {line["error"].rpartition("\\")[2] for line in failed} == {"OutcomeUnknown"}


def test_a_queue_worker_goes_on(application: ClusterApplication, relays: Relays) -> None:
    worker = application.artisan_running("queue:work", "--sleep=0", "--tries=9")
    dispatcher = application.act("dispatch", SECONDS)
    cut_again_and_again(application, relays, dispatcher)
    made = {f"{line['n']}" for line in dispatcher.lines}
    application.wait_for(lambda: application.jobs_done >= made)
    assert worker.process.poll() is None, "the queue worker ended"
