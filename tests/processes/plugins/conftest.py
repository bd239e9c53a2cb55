"""Fixtures for tests of the stand-in plugins under the real engine and the real Docker."""

from __future__ import annotations

import gc
import json
import subprocess
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.processes.plugins.engine import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PREFIX = "plug-"
IMAGE = "debian:trixie-slim"


class Docker:
    """The docker command, to look at what the plugins made and to interfere with it."""

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run `docker ...` and return its output."""
        done = subprocess.run(
            ["docker", *arguments], check=check, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip()

    def inspect(self, name: str) -> dict[str, Any]:
        """What docker knows about something."""
        found: dict[str, Any] = json.loads(self("inspect", name))[0]
        return found

    @contextmanager
    def events(self, *containers: str) -> Iterator[list[str]]:
        """Tell, after the block, what became of containers in it: `NAME ACTION`.

        Heard as it happens: the engine remembers no more than 256 events of everybody's.
        """
        words = ["docker", "events", "--since", str(time.time())]
        words += [word for name in containers for word in ("--filter", f"container={name}")]
        words += ["--format", "{{.Actor.Attributes.name}} {{.Action}}"]
        heard: list[str] = []
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as listening:
            try:
                yield heard
            finally:
                time.sleep(1.0)  # as long as the last one may be on its way
                listening.terminate()
                heard += listening.communicate()[0].splitlines()

    def names(self) -> set[str]:
        """All containers of these tests, running or not."""
        listed = self("ps", "--all", "--filter", f"name=^{PREFIX}", "--format", "{{.Names}}")
        return set(listed.split())


@pytest.fixture(scope="module")
def docker() -> Docker:
    """Give the docker command; the daemon and the base image must be there."""
    command = Docker()
    command("image", "inspect", IMAGE)
    return command


@pytest.fixture(scope="module")
def image(docker: Docker) -> str:
    """Give the id of the base image."""
    identity: str = docker.inspect(IMAGE)["Id"]
    return identity


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Callable[[Callable[[], None]], Project]]:
    """Give a maker of projects; what they left is destroyed at the end."""
    made: list[Project] = []

    def make(program: Callable[[], None]) -> Project:
        folder = tmp_path / f"project-{len(made)}"
        folder.mkdir()
        made.append(Project.create(folder, program))
        return made[-1]

    yield make
    for one in made:
        one.destroy()
    with warnings.catch_warnings(action="ignore"):
        gc.collect()  # Pulumi's automation API leaves its event loops open
