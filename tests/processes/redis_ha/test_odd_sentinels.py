"""`redis-ha failover` while one sentinel hangs, is in TILT mode, or answers nonsense."""

import os
import pty
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from redis_ha.discovery import ask_node
from redis_ha.errors import SwitchoverRefused
from redis_ha.switchover import OldMaster, switch_over
from redis_ha.switchover_guard import guarded
from tests.processes.cluster import Cluster, Process, Settings
from tests.processes.ledger import Ledger
from tests.processes.ports import free_ports
from tests.processes.redis_ha.operator_command import OperatorCommand

# A pause in which a sentinel was waited for in vain is longer; so is one that ends because the
# others take a paused master for dead, here after 8 s.
SECONDS_WITHOUT_WRITES = 6.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster.start(tmp_path, Settings(down_after=8000)) as running:
        yield running


def in_tilt(sentinel: Process) -> bool:
    with sentinel.client() as client:
        return bool(client.info("sentinel")["sentinel_tilt"])


@contextmanager
def liar(cluster: Cluster, says: bytes) -> Iterator[dict[str, str]]:
    """Give the settings with which the third sentinel answers everything with the same bytes."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cluster.tls.certificate, cluster.tls.key)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    def talk(plain: socket.socket) -> None:
        with suppress(OSError), plain, tls.wrap_socket(plain, server_side=True) as peer:
            # Whoever comes is let in.
            answer = b"+OK\r\n"
            while peer.recv(4096):
                peer.sendall(answer)
                answer = says

    port = free_ports(1)[0]
    with socket.create_server(("127.0.0.1", port)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield {"REDIS_SENTINEL_PORT_3": str(port)}
        listener.shutdown(socket.SHUT_RDWR)


# The last is the one that everybody asks first.
@pytest.mark.parametrize("which", [0, 2])
def test_a_sentinel_that_hangs_holds_nothing_up(
    cluster: Cluster, operator: OperatorCommand, which: int
) -> None:
    with Ledger.running(cluster, threads=2) as ledger:
        ledger.wait_for_writes(100)
        cluster.sentinels[which].pause()
        try:
            done = operator.json("failover", "--yes")
            assert done["write_gap_seconds"] < SECONDS_WITHOUT_WRITES
            ledger.wait_for_writes(100)
        finally:
            cluster.sentinels[which].resume()
    cluster.wait_until_healthy(60.0)
    assert ledger.lost(cluster) == []


def test_a_sentinel_in_tilt_mode_is_passed_over(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    sentinel, old = cluster.sentinels[2], cluster.master
    sentinel.pause()
    # Its clock must have stood still for two seconds.
    time.sleep(3.0)
    sentinel.resume()
    cluster.wait_for(lambda: in_tilt(sentinel))
    done = operator.json("failover", "--yes")
    assert done["write_gap_seconds"] < SECONDS_WITHOUT_WRITES
    assert in_tilt(sentinel)
    assert cluster.master is not old


def test_by_force_a_sentinel_in_tilt_mode_is_passed_over(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    sentinel = cluster.sentinels[2].pause()
    time.sleep(3.0)
    sentinel.resume()
    cluster.wait_for(lambda: in_tilt(sentinel))
    done = operator.json("failover", "--force", "--yes")
    assert in_tilt(sentinel)
    assert done["to"] == operator.name_of(cluster.master.address)


@pytest.mark.parametrize("says", [b"+OK\r\n", b":5\r\n", b"$-1\r\n", b"*1\r\n:5\r\n"])
def test_a_sentinel_that_talks_nonsense_is_as_good_as_none(
    cluster: Cluster, operator: OperatorCommand, says: bytes
) -> None:
    with liar(cluster, says) as settings:
        status = operator.run("status", settings=settings)
        assert "unexpected" not in status.stderr
        done = operator.run("failover", "--yes", settings=settings)
    assert done.returncode == 0, done.stderr
    assert "no write lost" in done.stdout


def fail_before_the_pause(cluster: Cluster) -> None:
    """End unforeseen, after a switchover that was refused in its preparation."""
    access, old = cluster.access(), cluster.master.address
    others = tuple(node.address for node in cluster.replicas)
    with guarded(access, old=old, others=others) as guard:
        with suppress(SwitchoverRefused):
            switch_over(
                access,
                old_master=OldMaster.DEMOTE,
                expected=others[0],
                token=guard.token,
                begin=guard.begin,
            )
        raise KeyError("ip")


def test_what_fails_before_the_pause_makes_the_guard_pause_nothing(cluster: Cluster) -> None:
    with pytest.raises(KeyError):
        fail_before_the_pause(cluster)
    # The guard sees at once that it is alone.
    time.sleep(3.0)
    with cluster.master.client() as client:
        assert "cmdstat_client|pause" not in client.info("commandstats")


def test_by_force_the_master_of_the_question_is_replaced_and_no_other(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    old, (mine, its) = cluster.master, pty.openpty()
    asking = subprocess.Popen(
        [sys.executable, "-m", "redis_ha", "failover", "--force"],
        stdin=its,
        stdout=its,
        stderr=its,
        env=operator.environment | {"TERM": "xterm"},
        cwd=operator.directory,
    )
    os.close(its)
    try:
        said = read_until(mine, b"[y/N]")
        old.kill()
        new = cluster.wait_for_master(other_than=old)
        cluster.wait_for(lambda: cluster.master is new)
        os.write(mine, b"y\n")
        said += read_until(mine, b"by now, not", b"is master now")
        assert asking.wait(30) == 7, said.decode()
    finally:
        asking.kill()
        asking.wait()
        os.close(mine)
    assert ask_node(cluster.access(), new.address).role == "master"


def read_until(terminal: int, *words: bytes) -> bytes:
    said, until = b"", time.monotonic() + 40.0
    while not any(word in said for word in words) and time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                said += os.read(terminal, 4096)
            except OSError:
                break
    return said


def test_a_node_without_a_name_is_unknown(cluster: Cluster, operator: OperatorCommand) -> None:
    master = cluster.master
    assert operator.run("failover", "--to", "", "--yes").returncode == 3
    assert operator.run("failover", "--to", "", "--force", "--yes").returncode == 2
    assert cluster.master is master


def test_what_is_refused_is_not_announced(cluster: Cluster, operator: OperatorCommand) -> None:
    words = ("failover", "--to", str(cluster.master.address), "--dry-run")
    said = operator.run(*words)
    assert said.returncode == 7
    assert "hands the mastership" not in said.stdout
    assert "master already" in said.stdout
    assert operator.json(*words, code=7)["would"] is None
    assert "hands the mastership" in operator.json("failover", "--dry-run")["would"]
