"""Processes of the Laravel application in laravel/tests/app, against a cluster that a test runs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.processes import cluster_files as files
from tests.processes.cluster import REPOSITORY, Cluster

PACKAGE = REPOSITORY / "laravel"
PHP = os.environ.get("REDIS_HA_TEST_PHP", "php")
# Where `redis-ha` and Python of this environment are.
BIN = Path(sys.executable).parent


def settings(cluster: Cluster) -> dict[str, str]:
    """Return the application's environment, as `redis-ha env --laravel` prints it."""
    sentinels = {
        f"REDIS_SENTINEL_{part}_{number}": str(value)
        for number, node in enumerate(cluster.sentinels, start=1)
        for part, value in (("HOST", node.address.host), ("PORT", node.address.port))
    }
    return {
        "REDIS_CLIENT": "phpredis",
        "REDIS_SENTINEL_ENABLED": "true",
        "REDIS_SENTINEL_MASTER": files.MASTER_NAME,
        "REDIS_USERNAME": "app",
        "REDIS_PASSWORD": files.PASSWORDS["app"],
        "REDIS_TLS_CA": str(cluster.tls.ca),
        **sentinels,
    }


def operator_settings() -> dict[str, str]:
    """Return what `php artisan redis:ha failover` needs besides."""
    return {
        "REDIS_HA_COMMAND": str(BIN / "redis-ha"),
        "REDIS_OPERATOR_USERNAME": "operator",
        "REDIS_OPERATOR_PASSWORD": files.PASSWORDS["operator"],
    }


@dataclass
class Actor:
    """One PHP process and the file that it writes its lines to."""

    process: subprocess.Popen[bytes]
    output: Path

    def wait(self, timeout: float) -> int:
        return self.process.wait(timeout)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Return what it has said so far; a line that is being written doesn't count yet."""
        found = []
        for line in self.output.read_text().splitlines():
            with suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return found

    @property
    def acknowledged(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("ok")]

    @property
    def failures(self) -> list[str]:
        return [f"{line['error']}: {line['text']}" for line in self.lines if not line.get("ok")]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@dataclass
class Application:
    """The application on one cluster; `stock` leaves the package out."""

    cluster: Cluster
    directory: Path
    actors: list[Actor] = field(default_factory=list)

    @classmethod
    @contextmanager
    def on(cls, cluster: Cluster, directory: Path) -> Iterator["Application"]:
        """Give the application and end its processes at the end."""
        application = cls(cluster, directory)
        try:
            yield application
        finally:
            for actor in application.actors:
                actor.end()

    @property
    def jobs(self) -> Path:
        return self.directory / "jobs"

    @property
    def log(self) -> str:
        path = self.directory / "storage" / "logs" / "laravel.log"
        return path.read_text() if path.is_file() else ""

    def environment(self, **more: str) -> dict[str, str]:
        own = {"TEST_APP_STORAGE": str(self.directory / "storage"), "TEST_APP_JOBS": str(self.jobs)}
        return {**os.environ, **settings(self.cluster), **own, **more}

    def act(self, role: str, seconds: float, name: str = "0", **more: str) -> Actor:
        """Start a process in one of act.php's roles."""
        return self._start(["act.php", role, f"{seconds:g}", name], **more)

    def stock(self, seconds: float, name: str) -> Actor:
        """Start a writer with Laravel's own configuration, pointed at the present master."""
        port = str(self.cluster.master.address.port)
        return self.act("write", seconds, name, TEST_APP_STOCK="1", REDIS_PORT=port)

    def artisan_running(self, *arguments: str) -> Actor:
        return self._start(["artisan.php", *arguments])

    def artisan(self, *arguments: str, timeout: float = 60.0, **more: str) -> tuple[int, str]:
        """Run `php artisan`; return its exit code and what it printed."""
        command = [*php(), str(PACKAGE / "tests" / "app" / "artisan.php"), *arguments]
        done = subprocess.run(
            command,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def _start(self, arguments: list[str], **more: str) -> Actor:
        output = self.directory / f"actor-{len(self.actors)}-{arguments[1].replace(':', '-')}"
        script = PACKAGE / "tests" / "app" / arguments[0]
        with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                [*php(), str(script), *arguments[1:]],
                env=self.environment(**more),
                stdout=out,
                stderr=err,
            )
        self.actors.append(Actor(process, output))
        return self.actors[-1]


def php() -> list[str]:
    """Return the command line that PHP starts with."""
    path = shutil.which(PHP)
    assert path, "php is not installed: `make test` installs it"
    return [path]


def gap(actors: list[Actor]) -> float:
    """Return the longest time (s) in which none of these got an acknowledgement."""
    times = sorted(line["at"] for actor in actors for line in actor.acknowledged)
    return max((b - a for a, b in pairwise(times)), default=float("inf"))
