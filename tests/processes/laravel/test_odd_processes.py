"""Long-lived and unusual processes: idle ones, forks, half-made batches, options, listeners."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.patience import at_best
from tests.processes.laravel.application import GENERATIONS, Actor, ClusterApplication

both_generations = pytest.mark.parametrize("php", GENERATIONS, indirect=True)


def outcome(application: ClusterApplication, actor: Actor) -> dict[str, Any]:
    """Return the last line of a process that ends by itself."""
    assert actor.wait(30) == 0, application.last_words()
    return actor.lines[-1]


@contextmanager
def in_between(application: ClusterApplication, role: str, go: Path) -> Iterator[Actor]:
    """Start a role, do what the block does while it waits, and let it go on."""
    actor = application.start(["odd.php", role], TEST_APP_GO=str(go))
    application.wait_for(lambda: bool(actor.lines))
    yield actor
    go.touch()


def kill_connections(application: ClusterApplication) -> None:
    """Close what the application holds open, as a server's `timeout` does."""
    with application.cluster.master.client() as client:
        assert client.execute_command("CLIENT", "KILL", "USER", "app") > 0


@both_generations
def test_a_connection_closed_while_idle_costs_no_write(
    application: ClusterApplication, tmp_path: Path
) -> None:
    with in_between(application, "idle", tmp_path / "go") as actor:
        kill_connections(application)
        # As long as the package takes for idle.
        time.sleep(1.2)
    assert outcome(application, actor) == {"error": None, "value": 2}


@both_generations
def test_parent_and_child_of_a_fork_do_not_share_a_connection(
    application: ClusterApplication,
) -> None:
    # A late reply on a busy machine is no foreign one.
    patient = application.start(["odd.php", "fork"], REDIS_READ_TIMEOUT="9")
    found = outcome(application, patient)
    assert found == {"error": None, "after": None, "child": 0, "value": 202}


@both_generations
def test_a_batch_that_fails_halfway_leaves_nothing_behind(application: ClusterApplication) -> None:
    found = outcome(application, application.start(["odd.php", "abandon"]))
    assert found == {"errors": ["LogicException"] * 2, "half": None, "next": 1}


@both_generations
def test_connections_with_options_of_their_own_keep_them_on_the_next_master(
    application: ClusterApplication, php: str, tmp_path: Path
) -> None:
    cluster, old = application.cluster, application.cluster.master
    with in_between(application, "options", tmp_path / "go") as actor:
        old.kill()
        new = cluster.wait_for_master(other_than=old)
    value = {"deep": [1, 2.5, None]}
    assert outcome(application, actor) == {
        "object": value,
        "popped": ["packed:list", {"a": 1}],
        "own": "1",
        "plain": "text",
        "scripted": "text",
    }
    with new.client() as client:
        client.execute_command("SELECT", "3")
        # From Laravel 9 on a connection's own prefix wins over that of all.
        own = "test:key" if php == GENERATIONS[0] else "own:key"
        assert set(client.keys("*")) == {"packed:object", own}


@both_generations
def test_each_connection_stands_on_its_own_database(
    application: ClusterApplication, tmp_path: Path
) -> None:
    cluster, old = application.cluster, application.cluster.master
    with in_between(application, "databases", tmp_path / "go") as actor:
        old.kill()
        new = cluster.wait_for_master(other_than=old)
    found = outcome(application, actor)
    assert (found["kept"], found["purged"]) == (0, 0), "nobody's database is another one's"
    assert found["after"] == [5, 6, 7], "what was selected holds on the next master"
    assert found["replicas"] == 5
    with new.client() as client:
        client.execute_command("SELECT", "5")
        assert client.keys("*") == ["test:chosen"]


def test_a_wait_claims_nothing_of_writes_of_another_connection(
    application: ClusterApplication, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    actor = application.start(["odd.php", "durable"], TEST_APP_GO=str(go), REDIS_CALL_TIMEOUT="2")
    application.wait_for(lambda: bool(actor.lines))
    kill_connections(application)
    go.touch()
    found = outcome(application, actor)
    unknown = "RedisHa\\Laravel\\Errors\\OutcomeUnknown"
    assert found["seconds"] >= 4.0, "a call's time beyond the patience"
    assert [found[name] for name in ("never", "gone", "again")] == [unknown] * 3
    assert (found["reached"], found["now"]) == (2, 2)


def test_a_master_that_lacks_replicas_is_no_storm(
    application: ClusterApplication, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    actor = application.start(["odd.php", "shortage"], TEST_APP_GO=str(go), REDIS_CALL_TIMEOUT="4")
    application.wait_for(lambda: bool(actor.lines))
    with application.cluster.master.client() as client:
        client.config_set("min-replicas-to-write", "9")
        go.touch()
        found = outcome(application, actor)
        client.config_set("min-replicas-to-write", "0")
    assert found["error"] == "RedisHa\\Laravel\\Errors\\CallTimedOut"
    assert 5 <= found["retries"] <= 12, "50 ms at first, and half a second in the end"
    assert application.log.count("redis-ha: call repeated") <= 4
    # Sentinels, replicas and this test connect, too: 40 were opened by attempts each 50 ms.
    assert found["opened"] <= 12


def test_listeners_may_use_redis_and_may_fail(
    application: ClusterApplication, tmp_path: Path
) -> None:
    cluster, old = application.cluster, application.cluster.master
    with in_between(application, "listen", tmp_path / "go") as actor:
        old.kill()
        cluster.wait_for_master(other_than=old)
    assert outcome(application, actor) == {"value": True, "heard": 1}
    assert "a listener of its own" in application.log


def test_a_block_longer_than_the_patience_ends_in_its_time(
    application: ClusterApplication,
) -> None:
    def late() -> float:
        actor = application.start(["odd.php", "short"], REDIS_READ_TIMEOUT="0.4")
        found = outcome(application, actor)
        assert found["value"] is None
        assert found["seconds"] >= 1.0
        return float(found["seconds"]) - 1.0

    at_best(late, under=0.5)


@both_generations
def test_a_block_inside_a_call_or_raw_ends_in_its_time(application: ClusterApplication) -> None:
    def late() -> float:
        actor = application.start(["odd.php", "blocked"], REDIS_READ_TIMEOUT="0.4")
        found = outcome(application, actor)
        assert (found["pop"]["value"], found["stream"]["value"]) == (None, None)
        for name in ("forever", "alone"):
            assert "BadSetting: call XREAD: BLOCK 0 waits for ever" in found[name]["value"]
        assert found["raw"]["value"] == ["raw", "unserialized"], "neither prefix nor serializer"
        own = {"pop": 2.0, "stream": 1.5, "forever": 0.0, "alone": 0.0}
        beyond = [float(found[name]["seconds"]) - seconds for name, seconds in own.items()]
        assert min(beyond) >= 0, found
        return max(beyond)

    at_best(late, under=0.5)


def test_a_cursor_is_not_shared_among_replicas(application: ClusterApplication) -> None:
    with application.cluster.master.client() as client:
        client.zadd("test:members", {f"m{n}": n for n in range(5000)})
        assert client.wait(2, 5000) == 2
    found = outcome(application, application.start(["odd.php", "cursor"], REDIS_READ_SPLIT="true"))
    assert found["seen"] == 5000
    assert found["metrics"]["replica_reads"] == 25, "replicas served"


@pytest.fixture
def clock(application: ClusterApplication) -> Iterator[Callable[[], None]]:
    """Write the time into `clock` at the master whenever it is called."""
    with application.cluster.master.client() as client:
        yield lambda: client.set("test:clock", repr(time.time()))


def test_a_read_is_never_older_than_the_lag_limit(
    application: ClusterApplication, clock: Callable[[], None]
) -> None:
    most, cut, stood = 1.5, False, 0.0
    clock()
    settings = {"REDIS_READ_SPLIT": "true", "REDIS_MAX_LAG": f"{most}", "TEST_APP_SECONDS": "16"}
    reader = application.start(["odd.php", "clock"], **settings)
    before = time.monotonic()
    while reader.process.poll() is None:
        began = time.monotonic()
        clock()
        stood, before = max(stood, time.monotonic() - before), began
        time.sleep(0.02)
        if not cut and len(reader.lines) > 100:
            _let_replicas_fall_behind(application)
            cut = True
    lines = reader.lines
    assert cut
    assert reader.process.returncode == 0, application.last_words()
    oldest = max(line["age"] for line in lines)
    # The clock itself stood for as long as it wasn't written; and between the look at the replicas,
    # the read and the comparison a busy machine takes its time.
    assert oldest < most + stood + 0.5
    assert oldest > 0.5, "nothing was read from a replica left behind"
    reads = [line["metrics"]["replica_reads"] for line in lines]
    assert reads[80] > 60, "replicas served"
    assert reads[-1] == reads[-50], "the master serves when no replica is fresh"


def _let_replicas_fall_behind(application: ClusterApplication) -> None:
    """Have every replica lose its link and be refused a new one; it goes on answering."""
    for replica in application.cluster.replicas:
        with replica.client() as client:
            client.config_set("masterauth", "wrong")
    with application.cluster.master.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "replica")
