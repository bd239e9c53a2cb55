"""Drills on real servers: what a proof says is true, and what can't be proven is told."""

import signal
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import age
from backup_worker.catalog import Catalog
from backup_worker.contents import document as contents
from backup_worker.contents import source as contents_source
from backup_worker.errors import SnapshotCorrupt, StoreUnreachable
from backup_worker.manifest import Kind
from backup_worker.proving import drill
from backup_worker.proving.drill import NoDrill, Proving
from backup_worker.proving.proof import By
from backup_worker.snapshot import Destination, take_snapshot
from backup_worker.store.contract import StoredObject
from backup_worker.store.memory import MemoryStore
from backup_worker.transform.signing import Signer
from tests.processes.backup.conftest import objects, wait_for
from tests.processes.cluster import Cluster
from tests.processes.cluster_files import PASSWORDS
from tests.processes.restore import dataset
from tests.processes.worker_command import WorkerCommand
from tests.unit.backup_worker.snapshots import made

SIGNER, IDENTITY = Signer.generate(), age.Identity.generate()


@dataclass
class Flawed(MemoryStore):
    """Keeps objects under some name otherwise than it was given them."""

    wrong: str
    refuses: str = "nothing"
    gets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        MemoryStore.__init__(self)

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        if key.endswith(self.refuses):
            raise StoreUnreachable(operation="put", subject=key, cause="away", hint="")
        content = bytearray(b"".join(chunks))
        if key.endswith(self.wrong):
            content[len(content) // 2] ^= 1
        return super().put(key, [bytes(content)], if_absent=if_absent)

    def get(self, key: str, *, offset: int = 0) -> Generator[bytes, None, None]:
        self.gets.append(key)
        yield from super().get(key, offset=offset)


def destination(store: MemoryStore) -> Destination:
    return Destination(store, (IDENTITY.to_public(),), SIGNER)


def source_digest(cluster: Cluster, source: str) -> str:
    node = next(node for node in cluster.data_nodes if str(node.address) == source)
    with node.client(timeout=30.0) as client:
        return str(client.execute_command("DEBUG", "DIGEST"))


def test_a_proof_says_what_the_source_held_at_that_offset(cluster: Cluster, tmp_path: Path) -> None:
    """Every type, three databases, functions, times to live, keys past theirs."""
    dataset.load(cluster, keys=700)
    with cluster.master.client() as client:
        client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        client.set("past", "its time", px=1)
    cluster.wait_until_healthy()
    worker = WorkerCommand(tmp_path, cluster)
    described = worker.snapshot()
    assert described["state"] == "proven"
    proof = described["proof"]
    assert proof["digest"] == source_digest(cluster, described["source"])
    assert proof["keys"] == {"0": 701, "3": 700, "15": 700}
    assert list(proof["functions"]) == ["before"]
    assert (proof["by"], proof["engine"], proof["cause"]) == ("drill", "redis", "")
    assert [path.name for path in (tmp_path / "state").iterdir()] == [drill.LOCK_NAME]


def test_the_data_is_read_back_once(cluster: Cluster, tmp_path: Path) -> None:
    store = Flawed("nothing")
    access = cluster.access("backup")
    taken = take_snapshot(access, destination(store), proving=Proving(tmp_path), term=7)
    assert taken.proof is not None
    assert taken.proof.proven
    assert (taken.manifest.kind, taken.manifest.term, taken.proof.term) == (Kind.MANUAL, 7, 7)
    assert taken.manifest.contents is not None
    assert store.gets == [taken.manifest.object_key, taken.manifest.contents.object_key]
    (entry,) = Catalog(store, (SIGNER.public_key,)).list().entries
    assert (entry.proof, entry.state, entry.note) == (taken.proof, "proven", "")


@pytest.mark.parametrize("wrong", ["dump.rdb.zst.age", "contents.json.zst.age"])
@pytest.mark.parametrize("proving", [True, False])
def test_what_the_store_changed_is_never_published(
    cluster: Cluster, tmp_path: Path, wrong: str, proving: bool
) -> None:
    store = Flawed(wrong)
    how = Proving(tmp_path) if proving else None
    with pytest.raises(SnapshotCorrupt, match=wrong):
        take_snapshot(cluster.access("backup"), destination(store), proving=how)
    assert list(store.list()) == []
    assert not (tmp_path / "drill").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"available_memory": lambda: 0}, "bytes of memory, 0 are available"),
        ({"state": Path("/proc/nowhere")}, "/proc/nowhere"),
        ({"patience": 0.0}, "no progress for 0 s"),
    ],
)
def test_a_drill_that_cannot_run_leaves_it_not_proven(
    cluster: Cluster, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    store = MemoryStore()
    proving = replace(Proving(tmp_path), **change)  # type: ignore[arg-type]
    taken = take_snapshot(cluster.access("backup"), destination(store), proving=proving)
    assert taken.proof is None
    assert reason in taken.unproven
    (entry,) = Catalog(store, (SIGNER.public_key,)).list().entries
    assert (entry.manifest, entry.state) == (taken.manifest, "not proven")


def test_a_proof_that_cannot_be_written_leaves_it_not_proven(
    cluster: Cluster, tmp_path: Path
) -> None:
    store = Flawed("nothing", refuses="proof.json")
    taken = take_snapshot(cluster.access("backup"), destination(store), proving=Proving(tmp_path))
    assert taken.proof is None
    assert taken.unproven == "the proof could not be written: away"


def test_without_a_server_the_reason_is_told(worker: WorkerCommand, tmp_path: Path) -> None:
    done = worker.run("snapshot", settings={"PATH": str(tmp_path / "nothing")})
    assert done.returncode == 0
    assert "\tnot proven\t" in done.stdout
    assert done.stderr == ("not proven: neither redis-server nor valkey-server is installed\n")
    (listed,) = worker.list()
    assert (listed["state"], listed["proof"]) == ("not proven", None)
    assert listed["recipients"] == [str(worker.identity.to_public())]


def test_switched_off_it_is_not_proven_and_nothing_is_said(worker: WorkerCommand) -> None:
    done = worker.run("snapshot", settings={"REDIS_BACKUP_DRILL": "false"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "\tnot proven\t" in done.stdout


def test_what_a_server_does_not_accept_has_failed(tmp_path: Path) -> None:
    manifest = made()
    with drill.begin(Proving(tmp_path)) as under_way:
        under_way.receive([b"REDIS0010\xfa\x04name\x05value\x00\x01a"], size=20)
        proof = under_way.prove(manifest, by=By.DRILL, seconds=lambda: 0.5)
    assert not proof.proven
    assert proof.held is None
    assert "RDB" in proof.cause or "Short read" in proof.cause


def test_two_drills_never_share_a_directory(tmp_path: Path) -> None:
    proving = Proving(tmp_path)
    with drill.begin(proving) as first:
        (first.directory / "precious").touch()
        with pytest.raises(NoDrill, match="another drill"), drill.begin(proving):
            pass
        drill.clear(tmp_path)
        assert (first.directory / "precious").exists()
    assert not first.directory.exists()


def test_what_a_killed_drill_left_goes_with_the_next(worker: WorkerCommand) -> None:
    plain = worker.directory / "state" / "drill" / "dump.rdb"
    with worker.start("snapshot") as process:
        wait_for(plain.exists, "the plain RDB")
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
    assert plain.parent.exists()
    assert plain.parent.stat().st_mode & 0o777 == 0o700
    worker.snapshot()
    assert not plain.parent.exists()
    assert sum(row["state"] == "proven" for row in worker.list()) == 1


def test_contents_hold_every_node_and_no_password(cluster: Cluster, tmp_path: Path) -> None:
    document = contents_source.gather(cluster.access("backup"), now=made().taken_at)
    assert [node.problem for node in (*document.data_nodes, *document.sentinels)] == [""] * 6
    assert {node.address for node in document.data_nodes} == {
        str(node.address) for node in cluster.data_nodes
    }
    first = document.data_nodes[0]
    assert first.role == "master"
    assert first.config["masterauth"] == contents.REDACTED
    assert first.config["requirepass"] == ""
    assert document.databases == 16
    assert [user.split()[1] for user in first.users if "backup" in user] == ["backup"]
    sentinel = document.sentinels[0]
    assert sentinel.master["ip"] == "127.0.0.1"
    assert (len(sentinel.replicas), len(sentinel.sentinels)) == (2, 2)
    payload = contents.encode(document)
    assert contents.decode(payload, key="x") == document
    assert not [secret for secret in PASSWORDS.values() if secret.encode() in payload]


def test_a_node_that_does_not_answer_is_no_obstacle(cluster: Cluster, tmp_path: Path) -> None:
    dead = cluster.replicas[0]
    dead.kill()
    document = contents_source.gather(cluster.access("backup"), now=made().taken_at)
    problems = {node.address: node.problem for node in document.data_nodes}
    assert "refused" in problems.pop(str(dead.address))
    assert set(problems.values()) == {""}
    worker = WorkerCommand(tmp_path, cluster)
    worker.snapshot()
    assert len(objects(worker)) == 4
