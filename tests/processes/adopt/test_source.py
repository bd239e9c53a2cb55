"""A source on its own: what is asked of it changes nothing, and closed means closed."""

import time
from pathlib import Path

import pytest
import redis

from backup_worker.adopt.bridge import SourceBridge
from backup_worker.adopt.source import Source, ask
from backup_worker.errors import BackupError
from redis_ha.connection import Address
from tests.processes.adopt.source import OldRedis, old_redis
from tests.processes.adopt.test_adopt import NEEDED
from tests.processes.ports import HOST

NO_CONFIG = ("replica-read-only no", f"user default on nopass ~* &* +@all -config {NEEDED}")


def source_of(old: OldRedis) -> Source:
    return Source(Address(HOST, old.port))


def role_and_setting(old: OldRedis) -> tuple[str, str]:
    with old.client() as client:
        role = str(client.info("replication")["role"])
        return role, str(client.config_get("replica-read-only")["replica-read-only"])


def test_asking_it_makes_no_replica_of_it_and_holds_nothing_back(tmp_path: Path) -> None:
    with old_redis(tmp_path / "old") as old:
        state = ask(source_of(old))
        assert (state.denied, state.writable_replica, state.may_forbid) == ((), False, True)
        with old.client() as client:
            assert client.info("replication")["role"] == "master"
            assert client.info("clients")["blocked_clients"] == 0
            assert "pause" not in str(client.info("everything").get("paused_actions", "none"))
        began = time.monotonic()
        assert old.is_writable()
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("command", ["REPLICAOF", "CLIENT"])
def test_a_command_that_was_renamed_is_denied(tmp_path: Path, command: str) -> None:
    with old_redis(tmp_path / "old", (f'rename-command {command} ""',)) as old:
        denied = ask(source_of(old)).denied
    assert denied is not None
    assert any(one.startswith(command.lower()) for one in denied)


def test_a_user_that_may_not_is_denied(tmp_path: Path) -> None:
    lines = ("user default on nopass ~* &* +@all -replicaof",)
    with old_redis(tmp_path / "old", lines) as old:
        denied = ask(source_of(old)).denied
    assert denied == ("replicaof no one",)


def test_one_that_is_written_as_a_replica_is_closed_and_opened_again(tmp_path: Path) -> None:
    with old_redis(tmp_path / "old", ("replica-read-only no",)) as old:
        source = source_of(old)
        assert ask(source).writable_replica is True
        source.close()
        assert not old.is_writable()
        source.reopen(writable_replica=True)
        assert old.is_writable()
        assert role_and_setting(old) == ("master", "no")


def test_one_that_cant_be_kept_from_being_written_stays_what_it_was(tmp_path: Path) -> None:
    with old_redis(tmp_path / "old", NO_CONFIG) as old:
        assert (ask(source_of(old)).writable_replica, ask(source_of(old)).may_forbid) == (
            None,
            False,
        )
        with pytest.raises(redis.exceptions.NoPermissionError):
            source_of(old).close()
        with old.client() as client:
            assert client.info("replication")["role"] == "master"
        assert old.is_writable()


def test_one_that_may_be_asked_but_not_changed_says_so(tmp_path: Path) -> None:
    lines = ("replica-read-only no", "user default on nopass ~* &* +@all -config|set")
    with old_redis(tmp_path / "old", lines) as old:
        state = ask(source_of(old))
    assert (state.writable_replica, state.may_forbid) == (True, False)


def test_what_refuses_to_be_closed_is_not_asked_again(tmp_path: Path) -> None:
    """A runner tries again what the network or a node did; this ends at once."""
    with old_redis(tmp_path / "old", ('rename-command REPLICAOF ""',)) as old:
        bridge = SourceBridge(None, source_of(old), 16, "")  # type: ignore[arg-type]
        bridge._paused_at = time.monotonic()
        with pytest.raises(BackupError) as caught:
            bridge.close_source()
    assert "can't be closed: unknown command" in caught.value.cause
