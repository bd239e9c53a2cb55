"""A worker that may not delete marks what its retention lets go; the bucket's lifecycle removes it.

Real S3 server (versitygw), a user with the rights of the stack's worker; no S3 server here applies
a lifecycle, so what the stack's own rules would remove is evaluated on the tags that are there.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backup_worker.catalog import Catalog
from backup_worker.holdings import read_holdings
from backup_worker.manifest import Manifest, proof_key
from backup_worker.proving import proof as proofs
from backup_worker.pruning import Pruned, Pruning, prune
from backup_worker.retention import plan_retention
from backup_worker.store.s3 import EXPIRED_TAG, S3Store
from backup_worker.transform.signing import Signer
from infra.config import ClusterConfig
from infra.settings import parse
from infra.targets.aws import policies
from infra.targets.aws.bucket import lifecycle_rules
from tests.contract.store import servers
from tests.unit.backup_worker.snapshots import NOW, made, proof_of, publish

BUCKET, WINDOW = "bucket", timedelta(hours=168)
RULES = lifecycle_rules(parse(ClusterConfig, {"target": "aws"}))


class Backups:
    """A store with snapshots in it, its worker, and its bucket's owner."""

    def __init__(self, endpoint: str, owner: Any) -> None:
        self.store = S3Store(BUCKET, prefix="backup/", endpoint=endpoint)
        self.signer = Signer.generate()
        self.catalog = Catalog(self.store, (self.signer.public_key,))
        self.owner = owner

    def take(self, hours_ago: float, *, proven: bool = True) -> Manifest:
        manifest = publish(self.store, self.signer, made(hours_ago))
        if proven:
            text = proofs.encode(proof_of(manifest))
            envelope = self.signer.sign(text, payload_type=proofs.PAYLOAD_TYPE)
            self.store.put(proof_key(manifest.id), [envelope])
        return manifest

    def prune(self, now: datetime = NOW) -> Pruned:
        verdicts = plan_retention(read_holdings(self.catalog), now=now, window=WINDOW)
        return prune(self.store, verdicts)

    def tags(self, key: str) -> dict[str, str]:
        told = self.owner.get_object_tagging(Bucket=BUCKET, Key=f"backup/{key}")
        return {tag["Key"]: tag["Value"] for tag in told["TagSet"]}

    def removed(self, now: datetime) -> set[str]:
        """Say which snapshots the bucket's lifecycle has touched by then."""
        return {
            entry.id
            for entry in self.catalog.list().entries
            for found in self.store.list(f"snapshots/{entry.id}")
            if goes(f"backup/{found.key}", self.tags(found.key), now - entry.taken_at)
        }


def goes(key: str, tags: Mapping[str, str], age: timedelta) -> bool:
    """Say whether a rule of the stack expires a current version of that age (S3's "Expiration")."""
    return any(
        key.startswith(both.get("prefix", ""))
        and both.get("tags", {}).items() <= tags.items()
        and age >= timedelta(days=rule["expiration"]["days"])
        for rule in RULES
        if "days" in rule.get("expiration", {})
        for both in [rule["filter"].get("and_", rule["filter"])]
    )


@pytest.fixture
def backups(
    aws_credentials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Backups]:
    (tmp_path / "iam").mkdir()
    (tmp_path / "data").mkdir()
    with servers.versitygw(tmp_path / "data", "--iam-dir", str(tmp_path / "iam")) as endpoint:
        servers.create_user(endpoint, "worker", "secret-of-the-worker")
        rights = ("PutObject", "GetObject", "PutObjectTagging")
        servers.allow(endpoint, "worker", bucket=BUCKET, actions=rights)
        owner = servers.owner(endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "worker")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-worker")
        yield Backups(endpoint, owner)
        owner.close()


def test_the_worker_and_the_bucket_speak_of_the_same_mark() -> None:
    assert policies.EXPIRED_TAG == EXPIRED_TAG


def test_a_worker_silent_for_long_loses_no_backup(backups: Backups) -> None:
    kept = {backups.take(hours).id for hours in (1, 100, 200)}
    backups.prune()
    left = kept - backups.removed(NOW)
    for years in (1, 10):
        assert kept - backups.removed(NOW + timedelta(days=365 * years)) == left
    assert len(left) == 2


def test_the_last_proven_snapshot_stays_whatever_its_age(backups: Backups) -> None:
    proven = backups.take(900)
    for hours in (800, 700, 10):
        backups.take(hours, proven=False)
    marked = {verdict.name for verdict in backups.prune().marked}
    assert marked == {made(800).id, made(700).id}
    assert backups.removed(NOW) == marked
    assert proven.id not in backups.removed(NOW + timedelta(days=3650))
    assert {entry.id for entry in backups.catalog.list().entries} >= marked


def test_a_mark_alone_hastens_nothing(backups: Backups) -> None:
    """Whoever has the worker's rights marks all: what is younger than the retention stays."""
    for hours in (1, 100, 200):
        backups.take(hours)
    for found in list(backups.store.list()):
        backups.store.expire(found.key)
    assert backups.removed(NOW) == {made(200).id}


def test_what_is_marked_is_not_marked_again(backups: Backups) -> None:
    backups.take(1)
    old = backups.take(500)
    pruning = Pruning(WINDOW, lambda: NOW)
    pruning(backups.catalog)
    assert backups.tags(proof_key(old.id)) == dict([EXPIRED_TAG])
    backups.owner.delete_object_tagging(Bucket=BUCKET, Key=f"backup/{proof_key(old.id)}")
    pruning(backups.catalog)
    assert backups.tags(proof_key(old.id)) == {}
