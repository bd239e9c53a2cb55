"""Snapshots for tests: manifests, entries, and a store that holds them signed."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backup_worker import manifest as manifests
from backup_worker.manifest import Content, Engine, Manifest, ReplicationPoint
from backup_worker.proving.proof import By, Held, Loader, Proof
from backup_worker.store.contract import Store
from backup_worker.transform.signing import Signer

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
CONTENT = b"an encrypted object"


def made(hours_ago: float = 0, *, nonce: int = 1) -> Manifest:
    """Make the manifest of a snapshot that was taken so long before NOW."""
    taken_at = NOW - timedelta(hours=hours_ago)
    snapshot = manifests.new_id(taken_at, nonce=nonce.to_bytes(4, "big"))
    return Manifest(
        id=snapshot,
        taken_at=taken_at,
        engine=Engine("redis", "7.0.15", 10),
        replication=ReplicationPoint("a" * 40, 553, 0),
        source="10.0.0.2:6380",
        object_key=manifests.object_key(snapshot),
        stored=Content(len(CONTENT), "0" * 64),
        rdb=Content(1000, "1" * 64),
        recipients=("age1example",),
        seconds=1.5,
    )


def proof_of(manifest: Manifest, *, proven: bool = True) -> Proof:
    """Make the proof that came of loading a snapshot."""
    return Proof(
        snapshot=manifest.id,
        cause="" if proven else "it holds other data",
        held=Held("d" * 40, {0: 7}, {}),
        seconds=2.5,
        loader=Loader("redis", "7.0.15"),
        rdb_sha256=manifest.rdb.sha256,
        at=manifest.taken_at,
        by=By.DRILL,
    )


def publish(store: Store, signer: Signer, manifest: Manifest) -> Manifest:
    """Put a snapshot into a store as the worker does."""
    store.put(manifest.object_key, [CONTENT])
    envelope = signer.sign(manifests.encode(manifest), payload_type=manifests.PAYLOAD_TYPE)
    store.put(manifests.manifest_key(manifest.id), [envelope])
    return manifest


def name_store(root: Path, monkeypatch: pytest.MonkeyPatch) -> Signer:
    """Have a command's settings name a store below a folder; return its signer."""
    signer = Signer.generate()
    (root / "signing.key").write_bytes(signer.to_pem())
    for name in [name for name in os.environ if name.startswith("REDIS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(root)
    monkeypatch.setenv("REDIS_BACKUP_STORE", f"file://{root}/store")
    monkeypatch.setenv("REDIS_BACKUP_SIGNING_KEY", str(root / "signing.key"))
    return signer
