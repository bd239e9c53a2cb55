"""WATCH keeps its connection or fails, and a batch that was refused is not applied twice."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from tests.processes.laravel.application import GENERATIONS, Actor, ClusterApplication

both_generations = pytest.mark.parametrize("php", GENERATIONS, indirect=True)
LOST = "RedisHa\\Laravel\\Errors\\TransactionLost"
UNKNOWN = "RedisHa\\Laravel\\Errors\\OutcomeUnknown"


@dataclass
class Role:
    """A role of odd.php, which waits in its middle until it may go on."""

    application: ClusterApplication
    actor: Actor
    file: Path

    @classmethod
    def waiting(cls, application: ClusterApplication, *arguments: str) -> Self:
        file = application.directory / f"go-{len(application.actors)}"
        actor = application.start(["odd.php", *arguments], TEST_APP_GO=str(file))
        application.wait_for(lambda: bool(actor.lines))
        return cls(application, actor, file)

    def go(self) -> Self:
        self.file.touch()
        return self

    @property
    def is_done(self) -> bool:
        return "error" in str(self.actor.lines)

    def outcome(self) -> dict[str, Any]:
        assert self.go().actor.wait(30) == 0, self.application.last_words()
        return self.actor.lines[-1]


def write(application: ClusterApplication) -> None:
    """Change what is watched."""
    with application.cluster.master.client() as client:
        client.set("test:w", "theirs")


def write_and_cut(application: ClusterApplication) -> None:
    """Change what is watched, and close the application's connections."""
    write(application)
    with application.cluster.master.client() as client:
        assert client.execute_command("CLIENT", "KILL", "USER", "app") > 0


@both_generations
def test_a_connection_that_is_cut_after_watch_is_said_and_not_replaced(
    application: ClusterApplication,
) -> None:
    after = ("get", "watch", "raw", "transact", "callback", "service", "script", "client")
    for begin, then in [("watch", then) for then in after] + [("raw", "get"), ("raw", "transact")]:
        role = Role.waiting(application, "watch", begin, then)
        write_and_cut(application)
        found = role.outcome()
        assert (found["error"], found["sent"]) == (LOST, []), (begin, then)
        assert (found["w"], found["same"]) == ("theirs", False), (begin, then)


@both_generations
def test_a_cut_before_exec_leaves_its_outcome_unknown(application: ClusterApplication) -> None:
    role = Role.waiting(application, "watch", "multi", "exec")
    write_and_cut(application)
    found = role.outcome()
    assert (found["error"], found["w"]) == (UNKNOWN, "theirs")


@both_generations
def test_watch_guards_for_as_long_as_its_connection_lives(application: ClusterApplication) -> None:
    for begin, then in (("watch", "transact"), ("watch", "callback"), ("raw", "object")):
        role = Role.waiting(application, "watch", begin, then)
        write(application)
        # Longer than a connection may be idle without being asked.
        time.sleep(1.2)
        found = role.outcome()
        assert (found["error"], found["value"]) == (None, False), (begin, then)
        assert (found["w"], found["same"]) == ("theirs", True), (begin, then)
    found = Role.waiting(application, "watch", "watch", "transact").outcome()
    assert (found["value"], found["w"], found["same"]) == ([True], "mine", True)


def test_a_master_that_is_demoted_after_watch_is_said(application: ClusterApplication) -> None:
    replica = application.cluster.replicas[0].address
    role = Role.waiting(application, "watch", "watch", "transact")
    with application.cluster.master.client() as client:
        client.execute_command("REPLICAOF", replica.host, replica.port)
        with pytest.raises(redis.ReadOnlyError):
            client.set("test:w", "nobody's")
        refused = sets_refused(client)
        role.go()
        # The transaction finds it demoted; what comes after it needs a master.
        application.wait_for(lambda: sets_refused(client) > refused)
        client.execute_command("REPLICAOF", "NO", "ONE")
    found = role.outcome()
    assert (found["error"], found["sent"]) == (LOST, ["multi"])
    assert found["w"] != "mine"


def sets_refused(client: redis.Redis) -> int:
    return int(client.info("commandstats")["cmdstat_set"]["rejected_calls"])


def test_reads_after_watch_stay_at_the_master(application: ClusterApplication) -> None:
    actor = application.start(["odd.php", "watched reads"], REDIS_READ_SPLIT="true")
    assert actor.wait(30) == 0, application.last_words()
    assert actor.lines == [{"watched": 0, "unwatched": 25}]


def test_a_child_does_not_go_on_with_its_parents_watch(application: ClusterApplication) -> None:
    actor = application.start(["odd.php", "watched fork"])
    assert actor.wait(30) == 0, application.last_words()
    child, parent = actor.lines
    assert child == {"error": LOST, "w": "before"}
    assert parent == {"value": [True]}


@both_generations
@pytest.mark.parametrize(("kind", "times"), [("pipeline", 1), ("in a call", 1), ("idempotent", 3)])
def test_a_pipeline_refused_in_its_middle_is_repeated_only_where_that_is_no_harm(
    application: ClusterApplication, kind: str, times: int
) -> None:
    found, told = refused(application, kind)
    assert found == {"error": UNKNOWN, "runs": times, "value": None}
    assert told == [kind] * times


@both_generations
@pytest.mark.parametrize("kind", ["transaction", "transaction in a call"])
def test_a_refused_transaction_is_made_again_and_applied_once(
    application: ClusterApplication, kind: str
) -> None:
    found, told = refused(application, kind)
    assert (found["error"], found["value"], told) == (None, kind, [kind])
    assert found["runs"] > 1


@both_generations
def test_a_transaction_refused_at_its_exec_is_not_taken_for_done(
    application: ClusterApplication, php: str
) -> None:
    found, told = refused(application, "late")
    if php == GENERATIONS[0] and found["error"]:
        # phpredis 5.3 takes the refusal for a lost connection.
        assert (found["error"], told) == (UNKNOWN, [])
    else:
        assert (found["error"], found["value"], told) == (None, "late", ["late"])


@both_generations
@pytest.mark.parametrize("command", ["blpop", "zpopmin", "spop"])
def test_a_refusal_that_phpredis_does_not_throw_is_noticed(
    application: ClusterApplication, command: str
) -> None:
    with application.cluster.master.client() as client:
        client.rpush("test:q", "element")
        client.zadd("test:z", {"element": 1.0})
        client.sadd("test:s", "element")
        role = Role.waiting(application, "silent", command)
        client.config_set("min-replicas-to-write", "9")
        role.go()
        application.wait_for(lambda: "redis-ha: call repeated" in application.log)
        client.config_set("min-replicas-to-write", "0")
    found = role.outcome()
    assert "element" in str(found["value"])
    assert found["wrong"] < 1.0, "an error doesn't get better by asking for 3 s"


def refused(application: ClusterApplication, kind: str) -> tuple[dict[str, Any], list[str]]:
    """Have a batch refused at first; return its outcome and what it published."""
    with application.cluster.master.client() as client, client.pubsub() as listener:
        listener.psubscribe("*told")
        role = Role.waiting(application, "refused", kind)
        client.config_set("min-replicas-to-write", "9")
        role.go()
        # A transaction would be refused for as long as the servers do; a pipeline ends by itself.
        ends = kind in ("pipeline", "in a call", "idempotent")
        application.wait_for(
            lambda: role.is_done or (not ends and "redis-ha: call repeated" in application.log)
        )
        client.config_set("min-replicas-to-write", "0")
        found, told = role.outcome(), []
        while (message := listener.get_message(timeout=0.5)) is not None:
            if message["type"] == "pmessage":
                told.append(message["data"])
    return found, told
