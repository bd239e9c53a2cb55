"""Who may switch over, on real servers: one of several operators, and what the killed leave."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from redis_ha import Client
from redis_ha.discovery import ask_node
from redis_ha.errors import SwitchoverBusy, SwitchoverRefused
from redis_ha.switchover import OldMaster, switch_over
from redis_ha.switchover_claim import claim, new_token
from tests.processes.cluster import Cluster, Process, Settings
from tests.processes.ledger import Ledger
from tests.processes.redis_ha.client_load import Load
from tests.processes.redis_ha.operator_command import Finished, OperatorCommand
from tests.processes.redis_ha.test_failover_command import KILLER, hurry
from tests.processes.redis_ha.witnessed import epoch

UNDER_WAY = "another switchover is under way"
# As the stack has it: a master takes no writes without a replica.
FENCED = ("min-replicas-to-write 1", "min-replicas-max-lag 3")
# What of Sentinel itself makes an old master a replica again (s), with looks each second.
SENTINELS_SECONDS = 12.0


@pytest.fixture
def fenced(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster.start(tmp_path, Settings(down_after=5000, redis_lines=FENCED)) as running:
        hurry(running)
        yield running


@pytest.fixture
def fenced_operator(fenced: Cluster, tmp_path: Path) -> OperatorCommand:
    directory = tmp_path / "operator"
    directory.mkdir()
    return OperatorCommand(directory, fenced)


def at_once(operator: OperatorCommand, *commands: tuple[str, ...]) -> list[Finished]:
    """Run several commands beside each other to their ends."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "redis_ha", *words],
            env=operator.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=operator.directory,
        )
        for words in commands
    ]
    ends = [(process, *process.communicate(timeout=60)) for process in started]
    return [Finished(p.args, p.returncode, out, err) for p, out, err in ends]


def refusal(done: Finished) -> str:
    """Return the one sentence of a command that was refused."""
    assert done.returncode == 7, done
    lines = [line for line in done.stderr.strip().splitlines() if "sentinels to prefer" not in line]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_of_two_operators_at_once_one_goes_on(cluster: Cluster, operator: OperatorCommand) -> None:
    """On a busy machine the other may begin when that one has ended, and go on as well."""
    hurry(cluster)
    refusals = []
    with Ledger.running(cluster, threads=2) as ledger:
        for _ in range(4):
            before = epoch(cluster)
            wishes = [("failover", "--yes", "--to", str(r.address)) for r in cluster.replicas]
            done = at_once(operator, *wishes)
            refused = [refusal(d) for d in done if d.returncode]
            assert len(refused) < len(done), done
            refusals += refused
            cluster.wait_until_healthy()
            assert epoch(cluster) == before + len(done) - len(refused)
            ledger.wait_for_writes(100)
    assert [text for text in refusals if UNDER_WAY in text], refusals
    assert ledger.lost(cluster) == []


def test_three_operators_with_the_same_wish_promote_as_often_as_they_say(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    with Ledger.running(cluster, threads=2) as ledger:
        before = epoch(cluster)
        done = at_once(operator, *[("failover", "--yes")] * 3)
        successes = [d for d in done if d.returncode == 0]
        assert successes, done
        for other in done:
            if other.returncode:
                refusal(other)
        cluster.wait_until_healthy()
        assert epoch(cluster) == before + len(successes)
        ledger.wait_for_writes(100)
    assert ledger.lost(cluster) == []


@pytest.mark.parametrize("words", ["CLIENT PAUSE", "SENTINEL FAILOVER"])
def test_the_guard_of_a_killed_operator_keeps_the_next_one_out(
    cluster: Cluster, operator: OperatorCommand, words: str
) -> None:
    old = cluster.master.address
    with Ledger.running(cluster, threads=2) as ledger:
        killed = operator.run("after:SIGKILL", words, "1", "failover", "--yes", module=KILLER)
        assert killed.returncode == -9
        # The guard is at work for a second at least: it waits for what a sentinel may do.
        with pytest.raises(SwitchoverRefused, match=f"{UNDER_WAY}|in progress|not {old}"):
            switch_over(
                cluster.access("operator"),
                old_master=OldMaster.DEMOTE,
                expected=old,
                deadline_seconds=0.5,
            )
        cluster.wait_until_healthy(10.0)
        # Where nothing was promoted the cluster is healthy before the guard has gone.
        cluster.wait_for(lambda: _can_claim(cluster), 10.0)
        again = operator.run("failover", "--yes")
        assert again.returncode == 0, again.stderr
        ledger.wait_for_writes(100)
    assert ledger.lost(cluster) == []
    cluster.wait_until_healthy()


def test_a_claim_ends_with_its_connection_and_the_node_may_have_one(cluster: Cluster) -> None:
    access, master = cluster.access("node"), cluster.master.address
    with closing(claim(access, master, token := new_token())):
        with pytest.raises(SwitchoverBusy, match=UNDER_WAY):
            claim(cluster.access("operator"), master, new_token())
        claim(access, master, token).close()
    cluster.wait_for(lambda: _can_claim(cluster), 2.0)


def test_a_node_that_stops_waits_for_who_is_at_it(cluster: Cluster) -> None:
    master = cluster.master
    with closing(claim(cluster.access("operator"), master.address, new_token())) as other:
        threading.Timer(1.0, other.close).start()
        done = switch_over(
            cluster.access("node"), old_master=OldMaster.LEAVE, expected=master.address
        )
    assert done.prepare_seconds > 0.5
    master.stop().start()
    cluster.wait_until_healthy()


def _can_claim(cluster: Cluster) -> bool:
    try:
        claim(cluster.access("operator"), cluster.master.address, new_token()).close()
    except SwitchoverBusy:
        return False
    return True


def test_a_silent_claim_is_taken_over_and_its_owner_learns_it(cluster: Cluster) -> None:
    access, master = cluster.access("operator"), cluster.master.address
    silent = claim(access, master, new_token())
    # As the process of a machine that was suspended: connected and without a word.
    silent._over.set()
    cluster.wait_for(lambda: _can_claim(cluster), 15.0)
    with pytest.raises(redis.ConnectionError):
        silent.command("CLIENT", "UNPAUSE")


BOTH_DEAD = [
    ("after", "CLIENT PAUSE", 1),
    ("after", "CLIENT PAUSE", 2),
    ("after", "SENTINEL FAILOVER", 1),
    ("before", "REPLICAOF", 1),
    ("after", "REPLICAOF", 1),
    ("after", "CONFIG REWRITE", 1),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("when", "words", "count"), BOTH_DEAD)
def test_with_its_guard_killed_as_well_nothing_is_lost_and_no_pause_lasts(
    fenced: Cluster,
    fenced_operator: OperatorCommand,
    figure: Callable[[str], None],
    when: str,
    words: str,
    count: int,
) -> None:
    old = fenced.master
    # One that goes where the master is, and one that stays with the old one as long as it can.
    stubborn = Ledger(fenced.access("app"), [old.address], threads=1)
    with Client(fenced.access("app")) as client, Load.running(client, threads=2) as load:
        stubborn.start()
        stubborn.wait_for_writes(50)
        arguments = (f"{when}:SIGKILL:guard", words, str(count), "failover", "--yes")
        done = fenced_operator.run(*arguments, module=KILLER)
        killed = time.monotonic()
        assert done.returncode == -9, f"{done.stdout}{done.stderr}"
        load.wait_for_writes(100, timeout=6.0)
        served = time.monotonic() - killed
        fenced.wait_for(lambda: not _is_paused(old), 6.0)
        let_go = time.monotonic() - killed
        fenced.wait_until_healthy(SENTINELS_SECONDS + 5.0)
        healthy = time.monotonic() - killed
        stubborn.stop()
    figure(f"writes {served:.1f} s, no pause {let_go:.1f} s, whole {healthy:.1f} s")
    assert stubborn.lost(fenced) == []
    assert load.lost(fenced) == {}


def _is_paused(node: Process) -> bool:
    """Say whether a command that a pause holds back is answered late; it changes nothing."""
    with node.client(timeout=0.3) as client:
        try:
            client.publish("nobody", "")
        except redis.TimeoutError:
            return True
    return ask_node(node.access, node.address).role is None
