"""Requests served by long-lived PHP processes whose connections stay open between them."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from tests.processes.cluster import Process
from tests.processes.laravel.application import (
    GENERATIONS,
    PACKAGE,
    ClusterApplication,
    operator_settings,
)
from tests.processes.ports import free_ports

both_generations = pytest.mark.parametrize("php", GENERATIONS, indirect=True)
PROCESSES = 3
# With the cluster's down-after of 2 s.
FAILOVER_SECONDS = 4.0


@dataclass
class Site:
    """The application behind PHP's own web server."""

    application: ClusterApplication
    port: int
    answers: list[tuple[float, int, dict[str, object]]] = field(default_factory=list)

    def get(self, path: str = "/") -> dict[str, object]:
        """Make one request and keep when it was answered, its status and what it said."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as reply:
                status, text = reply.status, reply.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        found: dict[str, object] = json.loads(text)
        self.answers.append((time.time(), status, found))
        return found

    def listens(self) -> bool:
        try:
            return "visits" in self.get()
        except OSError:
            return False

    @property
    def errors(self) -> list[dict[str, object]]:
        return [found for _, status, found in self.answers if status != 200]

    @contextmanager
    def visitors(self, count: int = 3) -> Iterator[None]:
        """Make requests all the time, as so many browsers do."""
        over = threading.Event()

        def visit() -> None:
            while not over.wait(0.02):
                self.get()

        threads = [threading.Thread(target=visit) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(30)


def serve(application: ClusterApplication, **more: str) -> Site:
    """Start the web server and return when every part of it answers."""
    (port,) = free_ports(1)
    script = str(PACKAGE / "tests" / "app" / "web.php")
    workers = {"PHP_CLI_SERVER_WORKERS": str(PROCESSES)}
    application.start_php(["-S", f"127.0.0.1:{port}", script], **workers, **more)
    site = Site(application, port)
    application.wait_for(site.listens)
    return site


def connected(node: Process) -> set[str]:
    """Return the ids of the connections that the application holds to a node."""
    with node.client() as client:
        return {row["id"] for row in client.client_list() if row["user"] == "app"}


@both_generations
def test_a_connection_outlives_its_request(application: ClusterApplication) -> None:
    site = serve(application)
    with site.visitors():
        application.wait_for(lambda: len(site.answers) > 60)
        before = connected(application.cluster.master)
        seen = len(site.answers)
        application.wait_for(lambda: len(site.answers) > seen + 100)
        after = connected(application.cluster.master)
    assert site.errors == []
    # The listening process serves, too; each has one for `default`, one for `cache`.
    assert len(after) <= 2 * (PROCESSES + 1)
    assert len(after - before) <= 1, "requests opened connections of their own"


def test_without_a_pool_it_does_not(application: ClusterApplication) -> None:
    site = serve(application, REDIS_POOL_SIZE="0")
    for _ in range(3):
        site.get()
    application.wait_for(lambda: connected(application.cluster.master) == set())


@both_generations
def test_a_request_that_ended_in_the_middle_harms_no_other(application: ClusterApplication) -> None:
    site = serve(application)
    for number in range(20):
        assert "visits" in site.get("/careless" if number % 2 else "/"), site.errors
    numbers = [found["visits"] for _, _, found in site.answers]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_silent_replica_and_the_sentinels_hold_up_no_read_of_the_next_request(
    application: ClusterApplication,
) -> None:
    site = serve(application, REDIS_READ_SPLIT="true")
    assert "visits" in site.get("/read")
    still = [application.cluster.replicas[0], *application.cluster.sentinels]
    for node in still:
        node.pause()
    took = [float(str(site.get("/read")["reading"])) for _ in range(20)]
    # A look at each of them takes 0.25 s; one or two requests may have to learn of the replica.
    slow = [seconds for seconds in took if seconds >= 0.24]
    assert len(slow) <= 5, took
    for node in still:
        node.resume()


@pytest.mark.parametrize(
    ("php", "fault"),
    [
        (GENERATIONS[0], "crash"),
        (GENERATIONS[0], "switchover"),
        (GENERATIONS[0], "demotion"),
        (GENERATIONS[1], "crash"),
        (GENERATIONS[1], "demotion"),
    ],
    indirect=["php"],
)
def test_kept_connections_do_not_outlive_a_mastership(
    application: ClusterApplication, fault: str, figure: Callable[[str], None]
) -> None:
    site, old = serve(application), application.cluster.master
    most = FAILOVER_SECONDS if fault == "crash" else 1.5
    with site.visitors():
        application.wait_for(lambda: len(site.answers) > 60)
        began = time.time()
        FAULTS[fault](application)
        new = application.cluster.wait_for_master(other_than=old)
        application.wait_for(lambda: site.answers[-1][0] > began + most + 1)
    assert len(site.errors) <= PROCESSES + 1, site.errors
    late = [found for at, _, found in site.answers if at > began + most]
    assert len(late) > 20
    assert all("visits" in found for found in late), site.errors
    assert len(connected(new)) >= 1
    answered = sorted(at for at, _, found in site.answers if "visits" in found)
    outage = max(b - a for a, b in pairwise(answered))
    figure(f"no answer for {outage:.2f} s, {len(site.errors)} of {len(site.answers)} failed")


def _crash(application: ClusterApplication) -> None:
    application.cluster.master.kill()


def _switch_over(application: ClusterApplication) -> None:
    code, text = application.artisan("redis:ha", "failover", "--yes", **operator_settings())
    assert code == 0, text


def _demote(application: ClusterApplication) -> None:
    """Demote the master by hand: nobody closes its clients' connections, as Sentinel would."""
    cluster, old = application.cluster, application.cluster.master
    heir = cluster.replicas[0]
    with heir.client() as client, old.client() as former:
        client.execute_command("REPLICAOF", "NO", "ONE")
        former.execute_command("REPLICAOF", heir.address.host, str(heir.address.port))


FAULTS = {"crash": _crash, "switchover": _switch_over, "demotion": _demote}
