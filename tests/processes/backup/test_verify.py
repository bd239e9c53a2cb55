"""`verify` on a real store: whatever is changed is found and named, whatever is whole is proven."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import age
from backup_worker import manifest as manifests
from backup_worker.catalog import Catalog
from backup_worker.errors import StoreUnreachable
from backup_worker.log import segment as segments
from backup_worker.log.segment import Mark, Segment, Timeline
from backup_worker.manifest import Content
from backup_worker.proving import drill
from backup_worker.proving.drill import Proving
from backup_worker.proving.proof import Held
from backup_worker.proving.verification import Verifier
from backup_worker.store.contract import StoredObject
from backup_worker.store.file import FileStore
from backup_worker.transform.compression import Compress
from backup_worker.transform.encryption import Encrypt
from backup_worker.transform.hashing import Measure
from backup_worker.transform.pipeline import transformed
from tests.processes.cluster import Cluster
from tests.processes.restore import dataset
from tests.processes.worker_command import WorkerCommand

KINDS = ("dump.rdb.zst.age", "contents.json.zst.age", "manifest.json", "proof.json")
LOG = b"*1\r\n$4\r\nPING\r\n" * 50


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerCommand]:
    """Give a command whose store holds one proven snapshot and one segment; tests copy it."""
    directory = tmp_path_factory.mktemp("taken")
    with Cluster.start(directory) as cluster:
        dataset.load(cluster, keys=200)
        worker = WorkerCommand(directory, cluster)
        worker.snapshot()
        write_segment(worker)
        yield worker


@pytest.fixture
def worker(taken: WorkerCommand, tmp_path: Path) -> WorkerCommand:
    """Give a command with a copy of that store, to be damaged."""
    shutil.copytree(taken.store, tmp_path / "store")
    own = replace(taken, directory=tmp_path)
    (tmp_path / "signing.key").write_bytes(taken.signer.to_pem())
    return own


def write_segment(worker: WorkerCommand) -> Segment:
    plain, stored, now = Measure(), Measure(), int(datetime.now(UTC).timestamp() * 1000)
    segment = Segment(
        timeline=Timeline("a" * 40),
        start=1,
        end=len(LOG),
        db=0,
        marks=(Mark(len(LOG), now),),
        stored=Content(0, ""),
        plain=Content(len(LOG), ""),
        recipients=(str(worker.identity.to_public()),),
        source="10.0.0.2:6380",
        term=1,
    )
    recipients = (worker.identity.to_public(),)
    sealed = transformed([LOG], plain, Compress(), Encrypt(recipients), stored)
    store = FileStore(worker.store)
    store.put(segment.name.object_key, sealed)
    segment = replace(
        segment,
        stored=Content(stored.size, stored.sha256),
        plain=Content(plain.size, plain.sha256),
    )
    envelope = worker.signer.sign(segments.encode(segment), payload_type=segments.PAYLOAD_TYPE)
    store.put(segment.name.manifest_key, [envelope])
    return segment


def verify(
    worker: WorkerCommand, *words: str, key: bool = True
) -> subprocess.CompletedProcess[str]:
    identity = ["--identity", str(worker.identity_file)] if key else []
    return worker.run("verify", *words, *identity)


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def path_of(worker: WorkerCommand, kind: str) -> Path:
    (found,) = worker.store.rglob(f"*{kind}")
    return found


def flip(path: Path, position: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


def verifier(worker: WorkerCommand, *, key: bool) -> Verifier:
    catalog = Catalog(FileStore(worker.store), (worker.signer.public_key,))
    return Verifier(catalog, (worker.identity,) if key else ())


def test_a_whole_store_is_proven_again(worker: WorkerCommand) -> None:
    (before,) = worker.list()
    done = verify(worker, "--all", "--json")
    assert done.returncode == 0, done.stderr
    snapshot, segment = rows(done)
    assert (snapshot["name"], snapshot["state"], snapshot["note"]) == (before["id"], "proven", "")
    assert snapshot["proof"]["digest"] == before["proof"]["digest"]
    assert (segment["state"], segment["problems"]) == ("good", [])
    (after,) = worker.list()
    assert (after["state"], after["proof"]["by"]) == ("proven", "verify")
    assert after["proof"] == snapshot["proof"]


def test_without_a_key_it_says_what_it_did_not_do(worker: WorkerCommand) -> None:
    done = verify(worker, "--all", key=False)
    assert done.returncode == 0
    assert "nothing is decrypted or loaded" in done.stderr
    assert [line.split("\t")[1] for line in done.stdout.splitlines()] == ["good", "good"]


def test_the_key_may_come_by_standard_input(worker: WorkerCommand) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "backup_worker", "verify", "latest", "--identity", "-", "--json"],
        input=worker.identity_file.read_text(),
        env=worker.environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=worker.directory,
    )
    assert done.returncode == 0, done.stderr
    assert rows(done)[0]["state"] == "proven"


class ReadOnly(FileStore):
    """A store that a verifier may only read."""

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        raise StoreUnreachable(operation="write", subject=key, cause="it is denied", hint="")


def test_a_proof_that_can_not_be_kept_hides_nothing(worker: WorkerCommand, tmp_path: Path) -> None:
    catalog = Catalog(ReadOnly(worker.store), (worker.signer.public_key,))
    proving = Proving(tmp_path / "state")
    found = list(Verifier(catalog, (worker.identity,), proving, worker.signer).everything())
    assert [one.problems for one in found] == [(), ()]
    assert found[0].note == "the proof was not kept: it is denied"
    assert found[0].proof is not None
    assert found[0].proof.proven


def test_deleted_manifests_are_told_by_what_they_leave(worker: WorkerCommand) -> None:
    for snapshot in worker.store.glob("snapshots/*/manifest.json"):
        snapshot.unlink()
        gone = f"snapshots/{snapshot.parent.name}/manifest.json"
    done = verify(worker, "--all", "--json")
    assert done.returncode == 4
    assert gone in done.stderr


def test_another_key_is_told(worker: WorkerCommand) -> None:
    worker.identity_file.write_text(age.Identity.generate().encode())
    done = verify(worker, "latest")
    assert done.returncode == 4
    assert "dump.rdb.zst.age" in done.stderr


@pytest.mark.parametrize(
    ("kind", "how"),
    [(kind, how) for kind in KINDS for how in ("flipped", "cut")]
    # Without its manifest there is no snapshot, and a proof may be missing.
    + [(kind, "gone") for kind in KINDS[:2]],
)
def test_a_damaged_object_is_named(worker: WorkerCommand, kind: str, how: str) -> None:
    path = path_of(worker, kind)
    size = path.stat().st_size
    if how == "flipped":
        flip(path, size // 2)
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    done = verify(worker, "--all", "--json")
    assert done.returncode == 4
    assert str(path.relative_to(worker.store)) in done.stderr.splitlines()[-1]
    snapshot, segment = rows(done)
    assert snapshot["state"] == "corrupt"
    # All was checked all the same.
    assert segment["state"] == "good"
    if (kind, how) == (KINDS[0], "flipped"):
        assert [row["state"] for row in worker.list()] == ["failed"]


@pytest.mark.parametrize("suffix", [segments.OBJECT_SUFFIX, segments.MANIFEST_SUFFIX])
@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_damaged_segment_is_named(worker: WorkerCommand, suffix: str, how: str) -> None:
    path = path_of(worker, f"0000000001{suffix}")
    if how == "flipped":
        flip(path, path.stat().st_size // 2)
    else:
        path.write_bytes(path.read_bytes()[:-1])
    done = verify(worker, "--all", "--json")
    assert done.returncode == 4
    assert str(path.relative_to(worker.store)) in done.stderr
    assert [row["state"] for row in rows(done)] == ["proven", "corrupt"]


def test_a_segment_without_its_object_is_named(worker: WorkerCommand) -> None:
    path = path_of(worker, f"0000000001{segments.OBJECT_SUFFIX}")
    path.unlink()
    done = verify(worker, "--all", key=False)
    assert done.returncode == 4
    assert str(path.relative_to(worker.store)) in done.stderr


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize("kind", [*KINDS, "0000000001.zst.age", "0000000001.json"])
def test_every_flipped_bit_is_found(worker: WorkerCommand, kind: str, key: bool) -> None:
    """Sampled over each object; opened without a server, which is asked last."""
    path = path_of(worker, kind)
    whole = path.read_bytes()
    for sample in range(24):
        flip(path, sample * (len(whole) - 1) // 23, bit=sample % 8)
        problems = [bad for one in verifier(worker, key=key).everything() for bad in one.problems]
        name = str(path.relative_to(worker.store))
        assert [bad.key for bad in problems] == [name], (sample, problems)
        path.write_bytes(whole)
    assert all(one.good for one in verifier(worker, key=key).everything())


def test_another_digest_than_before_is_a_failure_that_stays(worker: WorkerCommand) -> None:
    """The same RDB in the same server has the same digest, or memory or disk went wrong."""
    catalog = Catalog(FileStore(worker.store), (worker.signer.public_key,))
    (entry,) = catalog.list().entries
    assert entry.proof is not None
    assert entry.proof.held is not None
    other = replace(entry.proof, held=replace(entry.proof.held, digest="0" * 40))
    drill.publish(other, catalog.store, worker.signer)
    for _ in range(2):
        done = verify(worker, entry.id, "--json")
        assert done.returncode == 4
        (row,) = rows(done)
        assert "its digest is " + entry.proof.held.digest in row["problems"][0]["cause"]
        (listed,) = worker.list()
        assert listed["state"] == "failed"
    assert worker.run("show", "latest").returncode == 3
    drill.publish(entry.proof, catalog.store, worker.signer)
    assert verify(worker, entry.id).returncode == 0


@pytest.mark.parametrize("change", [{"snapshot": "20200101T000000Z-00000000"}, {}])
def test_a_proof_of_another_or_by_another_never_counts(
    worker: WorkerCommand, change: dict[str, str]
) -> None:
    store = FileStore(worker.store)
    (entry,) = Catalog(store, (worker.signer.public_key,)).list().entries
    assert entry.proof is not None
    signer = worker.signer if change else type(worker.signer).generate()
    wrong = replace(entry.proof, **change, held=Held("0" * 40, {}, {}))  # type: ignore[arg-type]
    store.delete(manifests.proof_key(entry.id))
    drill.publish(wrong, store, signer)
    if change:
        moved = b"".join(store.get(manifests.proof_key(wrong.snapshot)))
        store.put(manifests.proof_key(entry.id), [moved])
    listed = worker.list()[0]
    assert (listed["state"], listed["proof"]) == ("not proven", None)
    assert "its proof does not count" in listed["note"]
    assert verify(worker, entry.id).returncode == 4
    # The new proof stands in its place.
    assert verify(worker, entry.id).returncode == 0


def test_where_no_server_is_it_is_opened_and_that_is_told(
    worker: WorkerCommand, tmp_path: Path
) -> None:
    words = ["verify", "latest", "--identity", str(worker.identity_file), "--json"]
    done = worker.run(*words, settings={"PATH": str(tmp_path / "nothing")})
    assert done.returncode == 0
    (row,) = rows(done)
    assert (row["state"], row["proof"]) == ("good", None)
    assert row["note"].startswith("not loaded: neither redis-server")


@pytest.mark.parametrize("words", [[], ["latest", "--all"]])
def test_one_of_the_two_has_to_be_named(worker: WorkerCommand, words: list[str]) -> None:
    assert verify(worker, *words).returncode == 2


def test_contents_lie_beside_restored_data(worker: WorkerCommand, tmp_path: Path) -> None:
    key = ["--identity", str(worker.identity_file)]
    done = worker.run("restore", "latest", *key, "--output", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    laid = sorted(path.name for path in (tmp_path / "out" / "cluster").iterdir())
    assert len([name for name in laid if name.startswith("redis-127.0.0.1-")]) == 3
    assert len([name for name in laid if name.startswith("sentinel-127.0.0.1-")]) == 3
    users = (tmp_path / "out" / "cluster" / "users.acl").read_text()
    assert "user backup on #" in users
    shown = worker.run("show", "latest", "--contents", *key)
    assert json.loads(shown.stdout)["master_name"] == "mymaster"
    assert worker.run("show", "latest", "--contents").returncode == 2


def test_the_difference_to_the_live_cluster_is_shown(worker: WorkerCommand) -> None:
    master = worker.cluster.master
    key = ["--identity", str(worker.identity_file)]
    same = worker.run("restore", "latest", "--config", *key)
    assert (same.returncode, same.stdout) == (0, ""), same.stderr
    with master.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.execute_command("ACL", "SETUSER", "stranger", "on", "nopass")
    try:
        told = worker.run("restore", "latest", "--config", *key)
        found = json.loads(worker.run("restore", "latest", "--config", "--json", *key).stdout)
    finally:
        with master.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.execute_command("ACL", "DELUSER", "stranger")
    assert told.returncode == 0
    lines = told.stdout.splitlines()
    assert lines[0] == f"redis {master.address}"
    assert lines[1:3] == ["- maxmemory-policy noeviction", "+ maxmemory-policy allkeys-lru"]
    assert lines[3].startswith("+ user stranger on")
    assert [(one["name"], one["before"] is None) for one in found] == [
        ("maxmemory-policy", False),
        ("user stranger", True),
    ]
