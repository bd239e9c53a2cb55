"""From the operator's machine: the key is piped in, files come out, exit codes come through."""

import os
import sys
from pathlib import Path

import pytest

import age
from tests.processes.cluster import Cluster
from tests.processes.restore import dataset
from tests.processes.restore.conftest import Worker

Shared = tuple[Cluster, Worker]

# `docker` as far as the command uses it; the "container" is this machine without its name, and
# with the worker's settings, which the host does not have.
DOCKER = """#!{python}
import os, sys
words = sys.argv[1:]
if words[:2] == ["container", "inspect"]:
    running = words[-1] == "worker"
    print("true" if running else "", "" if running else "No such container", sep="\\n")
    sys.exit(not running)
assert words.pop(0) == "exec"
names = []
while words[0].startswith("-"):
    if words.pop(0) == "-e":
        names.append(words.pop(0))
assert words[:2] == ["worker", "backup-worker"], words
inside = {settings!r} | {{name: os.environ[name] for name in names}}
path = {{"PATH": {path!r}}}
os.execve({python!r}, [{python!r}, "-m", "backup_worker", *words[2:]], inside | path)
"""


@pytest.fixture(scope="module")
def host(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Worker:
    """Give the command as it runs beside the container: no store, no cluster, only the operator."""
    cluster, worker = shared
    dataset.load(cluster, keys=300)
    worker.snapshot()
    return beside(worker, tmp_path_factory.mktemp("host"))


def beside(worker: Worker, directory: Path) -> Worker:
    """Give the command as it runs beside a container in which `worker` is."""
    operator = {n: v for n, v in worker.environment.items() if n.startswith("REDIS_OPERATOR")}
    inside = {n: v for n, v in worker.environment.items() if n not in operator}
    docker = directory / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(
        DOCKER.format(python=sys.executable, settings=inside, path=os.environ["PATH"])
    )
    docker.chmod(0o755)
    (directory / "key.txt").write_bytes(worker.key.read_bytes())
    environment = {
        "PYTHONPATH": worker.environment["PYTHONPATH"],
        "PATH": f"{docker.parent}:{os.environ['PATH']}",
        "REDIS_BACKUP_CONTAINER": "worker",
        **operator,
    }
    return Worker(environment, directory)


def test_a_live_restore(shared: Shared, host: Worker) -> None:
    cluster, _ = shared
    digest = cluster.digest()
    dataset.replace(cluster)
    finished = host.restore("latest")
    assert finished.code == 0, finished.stderr
    assert cluster.digests() == [digest] * 3
    assert finished.json["master"] == str(cluster.master.address)


def test_it_asks_here_with_what_the_container_sees(shared: Shared, host: Worker) -> None:
    cluster, _ = shared
    digest = cluster.digest()
    finished = host.run("restore", "--identity", str(host.key), "latest")
    assert finished.code == 2
    assert str(cluster.master.address) in finished.stdout
    assert "--yes" in finished.complaint
    assert cluster.digest() == digest


@pytest.mark.parametrize("output", ["copy.rdb", "restored"])
def test_files_end_up_here(shared: Shared, host: Worker, output: str, tmp_path: Path) -> None:
    _, worker = shared
    assert worker.restore("latest", "--output", str(tmp_path / "there.rdb")).code == 0
    finished = host.restore("latest", "--output", str(tmp_path / output))
    assert finished.code == 0, finished.stderr
    written = tmp_path / output / "dump.rdb" if output == "restored" else tmp_path / output
    assert written.read_bytes() == (tmp_path / "there.rdb").read_bytes()
    assert written.stat().st_mode & 0o777 == 0o600


def test_exit_codes_come_through_and_nothing_is_left(host: Worker, tmp_path: Path) -> None:
    finished = host.restore("20200101T000000Z-00000000", "--output", str(tmp_path / "x"))
    assert finished.code == 3
    assert list(tmp_path.iterdir()) == []
    assert host.restore("20200101T000000Z-00000000").code == 3
    assert host.restore("latest", REDIS_BACKUP_CONTAINER="another").code == 6


def test_what_lies_beside_the_data_comes_along(
    shared: Shared, host: Worker, tmp_path: Path
) -> None:
    _, worker = shared
    assert worker.restore("latest", "--output", str(tmp_path / "there")).code == 0
    # The key is read once: it may come by a pipe.
    finished = host.restore("latest", "--output", str(tmp_path / "here"))
    assert finished.code == 0, finished.stderr
    here, there = (
        {path.name: path.read_bytes() for path in (tmp_path / place / "cluster").iterdir()}
        for place in ("here", "there")
    )
    assert here == there
    assert len(here) == 7


def test_the_difference_to_the_live_cluster_is_shown_here(shared: Shared, host: Worker) -> None:
    cluster, _ = shared
    with cluster.master.client() as client:
        client.config_set("lfu-log-factor", "11")
        finished = host.run("restore", "latest", "--config", "--identity", str(host.key))
        client.config_set("lfu-log-factor", "10")
    assert finished.code == 0, finished.stderr
    assert "- lfu-log-factor 10\n+ lfu-log-factor 11\n" in finished.stdout


@pytest.mark.parametrize("words", [("verify", "--all"), ("show", "latest", "--contents")])
def test_the_key_is_piped_to_every_command_that_opens(
    host: Worker, words: tuple[str, ...], tmp_path: Path
) -> None:
    done = host.run(*words, "--identity", str(host.key))
    assert done.code == 0, done.stderr
    other = tmp_path / "other.txt"
    other.write_text(age.Identity.generate().encode())
    assert host.run(*words, f"--identity={other}").code == 4
