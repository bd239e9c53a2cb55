"""What an interrupted or failed run leaves: no orphan, no stuck stack, no plugin."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from pulumi import automation

from tests.processes.plugins.engine import (
    Project,
    plugin_processes,
    pulumi_process,
    wait_for,
)
from tests.processes.plugins.test_containers import containers

if TYPE_CHECKING:
    from tests.processes.plugins.conftest import Docker

pytestmark = pytest.mark.filterwarnings(
    # Pulumi's automation API leaves its event loops open.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
Maker = Callable[[Callable[[], None]], Project]
NEVER_HEALTHY: dict[str, Any] = {
    "healthcheck": {
        "tests": ["CMD-SHELL", "echo still warming up; exit 1"],
        "interval": "300ms",
        "retries": 2,
    },
    "wait": True,
    "wait_timeout": 120,
}


class BackgroundUp:
    """A `pulumi up` that runs while the test interferes with it."""

    def __init__(self, project: Project) -> None:
        self.failure: BaseException | None = None
        self._project = project
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._project.up()
        except automation.CommandError as error:
            self.failure = error

    def finish(self, seconds: float) -> None:
        """Wait for the end; it must come within the given time."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"still running after {seconds} s"


def _running(docker: Docker, name: str) -> Callable[[], bool]:
    return lambda: docker("inspect", "-f", "{{.State.Running}}", name, check=False) == "true"


def test_ctrl_c_during_a_wait_keeps_the_container_in_the_state(
    project: Maker, docker: Docker, image: str
) -> None:
    one = project(containers(image, a=NEVER_HEALTHY))
    up = BackgroundUp(one)
    wait_for(_running(docker, "plug-a"))
    started = time.monotonic()
    os.kill(pulumi_process(one), signal.SIGINT)
    up.finish(15)
    assert time.monotonic() - started < 10
    assert up.failure is not None
    state = one.resources("Container")
    assert state["a"]["id"] == docker.inspect("plug-a")["Id"]
    assert plugin_processes(one) == []
    one.run(containers(image, a={"healthcheck": {"tests": ["CMD", "true"]}}))
    one.up()  # the stack is not stuck
    one.stack.destroy()
    assert docker.names() == set()


def test_kill_9_of_pulumi_leaves_neither_plugin_nor_container(
    project: Maker, docker: Docker, image: str
) -> None:
    one = project(containers(image, a=NEVER_HEALTHY))
    up = BackgroundUp(one)
    wait_for(_running(docker, "plug-a"))
    os.kill(pulumi_process(one), signal.SIGKILL)
    up.finish(15)
    wait_for(lambda: plugin_processes(one) == [])
    assert docker.names() == set()


def test_a_failed_wait_keeps_the_container_says_why_and_a_later_up_mends_it(
    project: Maker, docker: Docker, image: str
) -> None:
    waiting = {**NEVER_HEALTHY, "wait_timeout": 2}
    one = project(containers(image, a=waiting))
    with pytest.raises(automation.CommandError) as failure:
        one.up()
    assert "it did not become healthy within 2 s" in str(failure.value)
    assert "still warming up" in str(failure.value)
    entry = one.resources("Container")["a"]
    assert entry["id"] == docker.inspect("plug-a")["Id"]
    assert entry["initErrors"]
    with pytest.raises(automation.CommandError, match="did not become healthy"):
        one.up()  # it is not taken for ready
    one.stack.destroy()
    assert docker.names() == set()


def test_a_container_that_exits_while_it_is_waited_for_ends_the_wait_at_once(
    project: Maker, docker: Docker, image: str
) -> None:
    dying = {**NEVER_HEALTHY, "command": ["sh", "-c", "sleep 1; echo no disk; exit 7"]}
    one = project(containers(image, a=dying))
    with pytest.raises(automation.CommandError) as failure:
        one.up()
    assert "it exited with code 7" in str(failure.value)
    assert "no disk" in str(failure.value)


def test_waiting_without_a_health_check_is_refused_at_once(
    project: Maker, docker: Docker, image: str
) -> None:
    one = project(containers(image, a={"wait": True}))
    with pytest.raises(automation.CommandError, match="it has no health check"):
        one.up()


def test_grace_decides_between_stop_and_kill(project: Maker, docker: Docker, image: str) -> None:
    trap = "trap 'sleep 1; echo gone > /marks/NAME; exit 0' TERM; while :; do sleep 0.1; done"

    def settings(name: str, grace: int) -> dict[str, Any]:
        return {
            "command": ["sh", "-c", trap.replace("NAME", name)],
            "volumes": [{"volume_name": "plug-marks", "container_path": "/marks"}],
            "destroy_grace_seconds": grace,
        }

    docker("volume", "create", "plug-marks")
    try:
        one = project(containers(image, patient=settings("patient", 10), hard=settings("hard", 0)))
        one.up()
        one.stack.destroy()
        mount = "plug-marks:/marks"
        assert docker("run", "--rm", "-v", mount, image, "ls", "/marks") == "patient"
    finally:
        docker("volume", "rm", "plug-marks")
