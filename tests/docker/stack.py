"""A real stack in Docker, made by the real Pulumi engine from this checkout.

Its state, names, ports and subnet are set apart from a cluster that `make up` made here.
"""

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import redis
import yaml

from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access, NodeView, ask_node, ask_nodes, ask_sentinels, majority_master
from tests.processes.ledger import Ledger

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 420.0

SETTINGS = {
    "namePrefix": "it-",
    "portOffset": 2000,
    "subnet": "172.28.95.0/24",
    "debugCommand": "local",
    # Redis 8 spins while it pauses its I/O threads: with more threads than cores three idle nodes
    # took 0.8 of a core here, and every time in these tests was the scheduler's.
    "ioThreads": 1,
}

Finished = subprocess.CompletedProcess[str]


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float = PATIENCE,
    stdin: str | None = None,
) -> Finished:
    """Run a command to its end; on failure the assertion carries all that it printed."""
    done = subprocess.run(
        list(command),
        env=dict(env) if env else None,
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def docker(*args: str, check: bool = True, stdin: str | None = None) -> str:
    """Run the docker client and return what it printed."""
    return run(["docker", *args], check=check, stdin=stdin).stdout.strip()


def eventually(true: Callable[[], bool], *, within: float, what: str, every: float = 0.1) -> float:
    """Wait until `true()`; return how long it took (s), fail with `what` when it never is."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < within, f"not within {within} s: {what}"
        time.sleep(every)
    return time.monotonic() - start


@dataclass
class Stack:
    """One stack: `settings` are the project's, by name; `root` holds its state and secrets."""

    root: Path
    settings: dict[str, Any]
    name: str = field(default_factory=lambda: f"it-{secrets.token_hex(3)}")

    @property
    def prefix(self) -> str:
        return str(self.settings.get("namePrefix", ""))

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a pulumi run; tools and PULUMI_HOME come from `make test`."""
        return os.environ | {
            "PULUMI_BACKEND_URL": f"file://{self.root}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.root / "passphrase"),
            "PULUMI_OPTION_CONFIG_FILE": str(self.config_file),
        }

    @property
    def config_file(self) -> Path:
        return self.root / f"Pulumi.{self.name}.yaml"

    def create(self) -> None:
        """Make the stack, without anything in it; the salt goes beside its state."""
        (self.root / "passphrase").write_text(secrets.token_hex(16))
        self.pulumi("stack", "init", self.name)
        written = REPOSITORY / f"Pulumi.{self.name}.yaml"
        salt = yaml.safe_load(written.read_text())
        written.unlink()
        self.config_file.write_text(yaml.safe_dump(salt))

    @contextmanager
    def standing(self) -> Iterator[Self]:
        """Make it for the block, and leave nothing behind."""
        self.create()
        try:
            self.up()
            yield self
        finally:
            self.destroy()
            self.remove_kept_volumes()

    def write_settings(self) -> None:
        document = yaml.safe_load(self.config_file.read_text())
        document["config"] = {f"redis-ha:{key}": value for key, value in self.settings.items()}
        self.config_file.write_text(yaml.safe_dump(document))

    def adopt_settings(self) -> None:
        """Take over what a command of ours set by `pulumi config set`."""
        config = yaml.safe_load(self.config_file.read_text())["config"]
        self.settings = {key.removeprefix("redis-ha:"): value for key, value in config.items()}

    def redis_ha(self, *args: str, check: bool = True) -> Finished:
        """Run a `redis-ha` command on this stack, one that may change its settings."""
        self.write_settings()
        command = ["redis-ha", *args, "--stack", self.name]
        try:
            return run(command, env=self.environment, check=check)
        finally:
            self.adopt_settings()

    def pulumi(self, *args: str, check: bool = True) -> Finished:
        return run(["pulumi", *args, "--non-interactive"], env=self.environment, check=check)

    def kill_after(self, seconds: float, *command: str) -> bool:
        """Kill a command and all that it started, as a lost machine does; False if it had ended.

        Its lock on the state goes, as the operator would have it.
        """
        with subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            killed = process.poll() is None
            if killed:
                os.killpg(process.pid, signal.SIGKILL)
        self.pulumi("cancel", "--yes", "-s", self.name, check=False)
        return killed

    def up(self, *, check: bool = True, **settings: Any) -> Finished:
        """Apply the settings, changed ones first merged in; the summary is JSON-free text."""
        self.settings.update(settings)
        self.write_settings()
        return self.pulumi("up", "--yes", "--skip-preview", "-s", self.name, check=check)

    def changes(self) -> dict[str, int]:
        """Return what an `up` would do, by kind of step."""
        self.write_settings()
        shown = self.pulumi("preview", "--json", "-s", self.name)
        summary: dict[str, int] = json.loads(shown.stdout)["changeSummary"]
        return summary

    def destroy(self) -> Finished:
        return self.pulumi("destroy", "--yes", "--skip-preview", "-s", self.name)

    def remove_kept_volumes(self) -> None:
        """Remove the store, which a destroy leaves behind on purpose."""
        docker("volume", "rm", f"{self.prefix}backup-worker-store")

    def outputs(self, *, secrets_too: bool = True) -> dict[str, Any]:
        show = ["--show-secrets"] if secrets_too else []
        shown = self.pulumi("stack", "output", "--json", *show, "-s", self.name)
        outputs: dict[str, Any] = json.loads(shown.stdout)
        return outputs


@dataclass
class LiveCluster:
    """The running cluster of a stack, seen as its operator sees it."""

    stack: Stack
    outputs: dict[str, Any]

    @classmethod
    def of(cls, stack: Stack) -> "LiveCluster":
        cluster = cls(stack, {})
        cluster.renew()
        return cluster

    def renew(self) -> None:
        """Take over what has changed: nodes, passwords, CA, identities."""
        self.outputs = self.stack.outputs()
        self.ca.write_text(self.outputs["ca"])
        self.identity.write_text(self.outputs["backupIdentity"])
        self.identity.chmod(0o600)

    @property
    def ca(self) -> Path:
        return self.stack.root / "ca.crt"

    @property
    def identity(self) -> Path:
        return self.stack.root / "identity.txt"

    @property
    def env(self) -> dict[str, str]:
        values: dict[str, str] = self.outputs["env"]
        return values

    @property
    def nodes(self) -> dict[str, Address]:
        return {n["name"]: Address(n["address"], n["port"]) for n in self.outputs["nodes"]}

    def container(self, node: str) -> str:
        return f"{self.stack.prefix}{node}"

    def access(self, user: str = "REDIS_OPERATOR") -> Access:
        names = [n for n in range(1, 10) if f"REDIS_SENTINEL_HOST_{n}" in self.env]
        sentinels = tuple(
            Address(self.env[f"REDIS_SENTINEL_HOST_{n}"], int(self.env[f"REDIS_SENTINEL_PORT_{n}"]))
            for n in names
        )
        credentials = Credentials(self.env[f"{user}_USERNAME"], self.env[f"{user}_PASSWORD"])
        return Access(sentinels, self.env["REDIS_SENTINEL_MASTER"], credentials, self.ca)

    def client(self, node: str, **options: Any) -> redis.Redis:
        return self.access().connect(self.nodes[node], **options)

    def views(self) -> dict[str, NodeView]:
        views = ask_nodes(self.access(), list(self.nodes.values()))
        return dict(zip(self.nodes, views, strict=True))

    def master(self, *, other_than: str = "") -> str:
        """Name the node that the sentinels' majority names and that says so; "" when none.

        `other_than` isn't asked: a dead node answers only by the timeout.
        """
        named = majority_master(ask_sentinels(self.access()))
        node = next((n for n, address in self.nodes.items() if address == named), "")
        if node in {"", other_than}:
            return ""
        return node if ask_node(self.access(), self.nodes[node]).role == "master" else ""

    def healthy(self) -> bool:
        """One master for all sentinels, every other node its linked replica with its offset."""
        views = self.views()
        master = self.master()
        sentinels = ask_sentinels(self.access())
        agreed = {view.master for view in sentinels} == {self.nodes.get(master)}
        replicas = [view for name, view in views.items() if name != master]
        return bool(master) and agreed and all(view.link_up for view in replicas)

    def wait_until_healthy(self, within: float = 90) -> float:
        return eventually(self.healthy, within=within, what="a healthy cluster", every=0.3)

    def denied(self) -> list[str]:
        """What the nodes refused to users who are who they say: each right of ours is enough."""
        found = []
        for node in self.nodes:
            with self.client(node) as client:
                entries = [e for e in client.acl_log() if e["reason"] != "auth"]
            found += [f"{node}: {e['username']} {e['reason']} {e['object']}" for e in entries]
        return found

    def digest(self, node: str) -> str:
        """DEBUG DIGEST of all databases, asked on the node itself."""
        return self.inside(node, "DEBUG", "DIGEST")

    def digests(self) -> set[str]:
        """The digests of all nodes once their offsets are equal; one when their data is.

        Asked again where they differ: the exporter writes and deletes a key now and then.
        """
        found: set[str] = set()
        for _ in range(5):
            eventually(self._level, within=30, what="equal offsets on all nodes")
            found = {self.digest(node) for node in self.nodes}
            if len(found) == 1:
                break
        return found

    def _level(self) -> bool:
        return len({view.offset for view in self.views().values()}) == 1

    def inside(self, node: str, *command: str, check: bool = True) -> str:
        """Run a Redis command as operator with the redis-cli of the node's own container."""
        port = str(self.nodes[node].port)
        secret = os.environ | {"REDISCLI_AUTH": self.env["REDIS_OPERATOR_PASSWORD"]}
        tls = ["--tls", "--cacert", "/etc/redis-ha/tls/ca.crt", "-p", port]
        user = ["--user", self.env["REDIS_OPERATOR_USERNAME"], "--no-auth-warning"]
        enter = ["docker", "exec", "-e", "REDISCLI_AUTH", self.container(node), "redis-cli"]
        return run([*enter, *tls, *user, *command], env=secret, check=check).stdout.strip()

    @contextmanager
    def writers(self, threads: int = 4) -> Iterator[Ledger]:
        """Write as user app from now to the end of the block, and keep a ledger of it."""
        ledger = Ledger(self.access("REDIS"), list(self.nodes.values()), threads)
        with ledger.writing():
            yield ledger

    def worker(self, *args: str, check: bool = True, stdin: str | None = None) -> Finished:
        """Run `backup-worker` on the host, as a user would after `source .redis-ha/env`."""
        env = os.environ | self.env
        env |= {"REDIS_TLS_CA": str(self.ca), "REDIS_BACKUP_IDENTITY": str(self.identity)}
        return run(["backup-worker", *args], env=env, check=check, stdin=stdin)
