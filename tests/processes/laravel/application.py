"""Processes of the Laravel application in laravel/tests/app, against a cluster that a test runs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from redis_ha.connection import Address
from tests.processes import cluster_files as files
from tests.processes.cluster import REPOSITORY, Cluster

PACKAGE = REPOSITORY / "laravel"
# PHP of this machine's Debian, and of the next release: `make test` brings both.
GENERATIONS = (os.environ.get("REDIS_HA_TEST_PHP", "php"), "php-trixie")
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
        """Kill it with what it started: PHP's web server leaves its workers behind."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@dataclass
class Application:
    """The application on one cluster, which `connection` leads to."""

    connection: Mapping[str, str]
    directory: Path
    php: str = GENERATIONS[0]
    scripts: Path = PACKAGE / "tests" / "app"
    actors: list[Actor] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """End its processes at the end."""
        try:
            yield self
        finally:
            for actor in self.actors:
                actor.end()

    @property
    def jobs(self) -> Path:
        return self.directory / "jobs"

    @property
    def jobs_done(self) -> set[str]:
        return set(self.jobs.read_text().split()) if self.jobs.exists() else set()

    @property
    def log(self) -> str:
        path = self.directory / "storage" / "logs" / "laravel.log"
        return path.read_text() if path.is_file() else ""

    def environment(self, **more: str) -> dict[str, str]:
        own = {"TEST_APP_STORAGE": str(self.directory / "storage"), "TEST_APP_JOBS": str(self.jobs)}
        return {**os.environ, **self.connection, **own, **more}

    def act(self, role: str, seconds: float, name: str = "0", **more: str) -> Actor:
        """Start a process in one of act.php's roles."""
        return self.start(["act.php", role, f"{seconds:g}", name], **more)

    def stock(self, seconds: float, name: str, *, at: Address) -> Actor:
        """Start a writer with Laravel's own configuration, which names one node."""
        place = {"REDIS_HOST": at.host, "REDIS_PORT": str(at.port)}
        return self.act("write", seconds, name, TEST_APP_STOCK="1", **place)

    def artisan_running(self, *arguments: str, **more: str) -> Actor:
        return self.start(["artisan.php", *arguments], **more)

    def artisan(self, *arguments: str, timeout: float = 60.0, **more: str) -> tuple[int, str]:
        """Run `php artisan`; return its exit code and what it printed."""
        done = self.artisan_done(*arguments, timeout=timeout, **more)
        return done.returncode, done.stdout + done.stderr

    def artisan_done(
        self, *arguments: str, timeout: float = 60.0, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `php artisan`, its two streams apart."""
        command = [self.command, str(self.scripts / "artisan.php"), *arguments]
        return subprocess.run(
            command,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, arguments: list[str], **more: str) -> Actor:
        """Start a script of the application with its arguments."""
        return self.start_php([str(self.scripts / arguments[0]), *arguments[1:]], **more)

    def start_php(self, arguments: list[str], **more: str) -> Actor:
        """Start PHP with these arguments."""
        output = self.directory / f"actor-{len(self.actors)}"
        with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                [self.command, *arguments],
                env=self.environment(**more),
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.actors.append(Actor(process, output))
        return self.actors[-1]

    @property
    def command(self) -> str:
        """Return the path of its PHP."""
        path = shutil.which(self.php)
        assert path, f"{self.php} is not here: `make test` brings it"
        return path

    def wait_for(self, condition: Callable[[], bool], timeout: float = 20.0) -> None:
        """Poll until the condition holds; fail with what the processes said last."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout} s: {self.last_words()}"
            time.sleep(0.05)

    def last_words(self) -> list[str]:
        return [
            f"{a.output.name}: {a.output.with_suffix('.err').read_text()[-300:]} {a.lines[-1:]}"
            for a in self.actors
        ]


@dataclass
class ClusterApplication(Application):
    """The application on a cluster of processes."""

    cluster: Cluster = field(kw_only=True)

    @classmethod
    def on(cls, cluster: Cluster, directory: Path, php: str = GENERATIONS[0]) -> Self:
        return cls(settings(cluster), directory, php, cluster=cluster)


def gap(actors: list[Actor]) -> float:
    """Return the longest time (s) in which none of these got an acknowledgement."""
    times = sorted(line["at"] for actor in actors for line in actor.acknowledged)
    return max((b - a for a, b in pairwise(times)), default=float("inf"))
