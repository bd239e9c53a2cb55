"""The documents' commands, typed at a terminal as a reader would, in the real stack."""

import json
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.docker.stack import REPOSITORY, LiveCluster, docker, eventually, run
from tests.docker.test_operate import is_ready, redis_ha
from tests.docker.test_point_in_time import ship_all, status
from tests.documents import ROOT, Block, is_long, proof, python_examples, shell_blocks
from tests.long import LONG

FORMAT = ROOT / "docs" / "FORMAT.md"
# What the examples of docs/CLIENT.md go on from: its first one, and somebody who gives a job.
PREAMBLE = """import os
from redis_ha import AsyncClient, Client
client = Client.from_env(os.environ)
client.execute_with_failover(lambda redis: redis.rpush("jobs", "first"))
"""
TOOL = "it-stock-redis"
PLAIN = [block for block in shell_blocks() if not block.mark]
PATIENCE = 1800.0 if LONG else 240.0
# `restore` and `failover` ask before they change something.
ASKS = "[y/N]"


@pytest.fixture
def reader(cluster: LiveCluster, tmp_path: Path) -> "Reader":
    """Somebody in an empty folder, beside a cluster with a snapshot, a log and a mistake."""
    made = Reader(cluster, tmp_path)
    made.wait_for_backups()
    # After the tests before, Sentinel may still have to put a replica right.
    eventually(lambda: is_ready(cluster), within=120, what="a cluster ready to fail over")
    eventually(lambda: is_healthy(cluster), within=120, what="every replica behind the master")
    return made


def is_healthy(cluster: LiveCluster) -> bool:
    return redis_ha(cluster, "status", code=None).returncode == 0


class Reader:
    """Types what a document shows, with this stack's names, ports, paths and moments in it."""

    def __init__(self, cluster: LiveCluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        file = folder / ".redis-ha" / "env"
        file.parent.mkdir()
        file.touch(mode=0o600)
        values = cluster.env | {
            "REDIS_TLS_CA": str(cluster.ca),
            "REDIS_BACKUP_IDENTITY": str(cluster.identity),
            "REDISCLI_AUTH": cluster.env["REDIS_PASSWORD"],
        }
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
        file.write_text("".join(lines))
        self.began = datetime.now(UTC) - timedelta(seconds=1)

    def wait_for_backups(self) -> None:
        """Wait until the worker has nothing to complain of."""
        calm = "no troubles of the worker"
        eventually(lambda: status(self.cluster)["troubles"] == [], within=120, what=calm)

    def prepare(self, command: str) -> None:
        """Have there what a command looks for."""
        if "restore --before-command FLUSHALL" in command or "--at" in command:
            # A restore begins a history; its first snapshot is what a moment in it stands on.
            self.wait_for_backups()
            self.cluster.worker("snapshot")
            master = self.cluster.master()
            self.cluster.client(master).set("before", "the mistake")
            time.sleep(1.1)
            self.began = datetime.now(UTC)
            time.sleep(1.1)
            self.cluster.inside(master, "FLUSHALL")
            ship_all(self.cluster)

    def adapted(self, command: str) -> str:
        """Put this stack's own words for those of `make up`'s cluster."""
        nodes = self.cluster.nodes
        text = command.replace("docker exec -it", "docker exec -i")
        names = r"(?<=\s)(redis-\d|alertmanager)(?=\s)"
        text = re.sub(names, lambda m: self.cluster.container(m[1]), text)
        monitors = self.cluster.outputs["monitoring"]
        (alerts,) = (m for m in monitors if m["name"] == "alertmanager")
        text = text.replace("172.28.0.44:9093", f"{alerts['address']}:{alerts['port']}")
        # The next tests wait for that alert.
        text = text.replace("--duration=1h", "--duration=1s")
        text = text.replace("-p 6379", f"-p {nodes['redis-1'].port}")
        text = re.sub(r"/tmp/", f"{self.folder}/", text)
        moment = self.began.isoformat(timespec="milliseconds")
        text = re.sub(r"20\d\d-\d\d-\d\dT[\d:]+Z", moment, text)
        return re.sub(r'--at "\d+ minutes ago"', f"--at {moment}", text)

    def type(self, command: str) -> str:
        """Run a command at a terminal, say yes when asked; return what it showed."""
        self.prepare(command)
        script = f". .redis-ha/env\n{self.adapted(command)}\n"
        master, slave = pty.openpty()
        stdin = subprocess.PIPE if "redis-cli" in command else slave
        with subprocess.Popen(
            ["bash", "-ec", script],
            stdin=stdin,
            stdout=slave,
            stderr=slave,
            cwd=self.folder,
            env=os.environ | {"PATH": f"{REPOSITORY / '.venv/bin'}:{os.environ['PATH']}"},
            start_new_session=True,
        ) as process:
            os.close(slave)
            if process.stdin:
                process.stdin.write(b"PING\n")
                process.stdin.close()
            shown = "".join(self._conversation(master, process))
            code = process.wait(PATIENCE)
        os.close(master)
        assert code == 0, f"{command}\n{shown}"
        return shown

    def _conversation(self, terminal: int, process: subprocess.Popen[bytes]) -> Iterator[str]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ready = select.select([terminal], [], [], 0.2)[0]
            if not ready:
                if process.poll() is not None:
                    return
                continue
            try:
                text = os.read(terminal, 1 << 16).decode(errors="replace")
            except OSError:  # the last one at the terminal has left
                return
            if ASKS in text:
                os.write(terminal, b"y\n")
            yield text
        process.kill()


@pytest.mark.timeout(900 + PATIENCE)
@pytest.mark.parametrize("block", PLAIN, ids=lambda block: block.name)
def test_the_commands_do_what_the_document_says(block: Block, reader: Reader) -> None:
    for command in block.commands:
        if proof(command) or (is_long(command) and not LONG):
            continue
        shown = reader.type(command)
        # What a log shows is another program's word, of an hour in which nodes were hurt.
        assert "Traceback" not in shown or command.startswith("redis-ha logs")
        reader.cluster.wait_until_healthy()


@pytest.mark.parametrize("block", python_examples(), ids=lambda block: block.name)
def test_the_examples_run(block: Block, cluster: LiveCluster) -> None:
    example = textwrap.indent(block.text, "    ")
    script = f"{PREAMBLE}async def main():\n{example}\nimport asyncio\nasyncio.run(main())\n"
    # In a function `client` is its own where it is assigned, and the preamble's elsewhere.
    env = os.environ | cluster.env | {"REDIS_TLS_CA": str(cluster.ca)}
    run([sys.executable, "-c", script], env=env)


@pytest.fixture
def without_exporter(cluster: LiveCluster) -> Iterator[None]:
    """Stop what writes a key now and then: data of two moments would be compared."""
    docker("stop", cluster.container("ha-exporter"))
    try:
        yield
    finally:
        docker("start", cluster.container("ha-exporter"))


@pytest.mark.usefixtures("without_exporter")
def test_stock_tools_alone_bring_the_data_back(cluster: LiveCluster, tmp_path: Path) -> None:
    """The shell of docs/FORMAT.md, word for word, on what the store holds."""
    with cluster.access("REDIS").connect(cluster.nodes[cluster.master()]) as client:
        client.set("snapshot", "has it")
        cluster.worker("snapshot")
        client.set("log", "has it")
    ship_all(cluster)
    checked, replayed = (b.text for b in shell_blocks() if b.document == FORMAT)
    path = {"PATH": f"{stock_tools(cluster, tmp_path)}:{os.environ['PATH']}"}
    env = os.environ | stored_files(cluster, tmp_path) | path
    run(["bash", "-ec", f"cd {tmp_path}\n{checked}"], env=env)
    socket = str(tmp_path / "s")
    server = f"--port 0 --unixsocket {socket} --unixsocketperm 777 --enable-debug-command yes"
    script = f"cd {tmp_path}\n{replayed.rstrip()} {server}"
    with subprocess.Popen(["bash", "-ec", script], env=env, stdin=subprocess.DEVNULL):
        try:
            client = redis.Redis(unix_socket_path=socket, decode_responses=True)
            eventually(lambda: loaded(client), within=60, what="a stock server with the data")
            assert client.mget("snapshot", "log") == ["has it", "has it"]
            assert client.execute_command("DEBUG", "DIGEST") == cluster.digest(cluster.master())
        finally:
            docker("rm", "--force", TOOL)


def stock_tools(cluster: LiveCluster, folder: Path) -> Path:
    """Make commands that run the stack's own version of Redis, as this machine's may be older."""
    image = docker("inspect", "--format", "{{.Image}}", cluster.container("redis-1"))
    place = f"--user 0:0 --network none --volume {folder}:{folder} --workdir $PWD"
    commands = folder / "bin"
    commands.mkdir()
    for name in ("redis-server", "redis-check-rdb"):
        script = f'#!/bin/sh\nexec docker run --rm --name {TOOL} {place} {image} {name} "$@"\n'
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    return commands


def stored_files(cluster: LiveCluster, folder: Path) -> dict[str, str]:
    """Copy the newest snapshot, the key and the log after it; give the variables they make."""
    worker = cluster.container("backup-worker")
    docker("cp", f"{worker}:/backup", str(folder / "store"))
    shutil.copy(cluster.identity, folder / "identity.txt")
    shown = json.loads(cluster.worker("show", "latest", "--json").stdout)
    shutil.copy(folder / "store" / shown["object_key"], folder / "dump.rdb.zst.age")
    manifest = payload((folder / "store" / shown["object_key"]).with_name("manifest.json"))
    stands = manifest["replication"]
    offset = int(stands["offset"])
    begin = reached = 0
    chain: list[str] = []
    log = folder / "store" / "log" / stands["replid"]
    for start, end, file in sorted((*span(each), str(each)) for each in log.glob("*.json")):
        if end > offset and (not chain or start == reached + 1):
            begin = begin or start
            chain.append(file.removesuffix(".json") + ".zst.age")
            reached = end
    variables = {"DB": stands["stream_db"], "OFFSET": offset, "START": begin}
    return {name: str(value) for name, value in variables.items()} | {"SEGMENTS": " ".join(chain)}


def payload(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(b64decode(json.loads(file.read_text())["payload"]))
    return document


def span(file: Path) -> tuple[int, int]:
    manifest = payload(file)
    return int(manifest["start"]), int(manifest["end"])


def loaded(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
