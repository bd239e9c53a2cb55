"""The one bucket: the worker's backups, and the files that nodes are installed from."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.config import ClusterConfig
from infra.targets.aws.policies import BACKUP_PREFIX, EXPIRED_TAG, bucket_policy
from infra.targets.aws.surroundings import Surroundings

NONCURRENT_DAYS = 1
HOURS_PER_DAY = 24


@dataclass(frozen=True)
class BucketArgs:
    """What all components share, and the ARN of the key under which objects are encrypted."""

    around: Surroundings
    key: pulumi.Input[str]


class Bucket(pulumi.ComponentResource):
    """Versioned, encrypted, closed to the public and to plain HTTP; it outlives the stack."""

    bucket_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: BucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:aws:Bucket", name, None, opts)
        self._around = args.around
        config = args.around.plan.config
        bucket = aws.s3.Bucket(
            "bucket",
            bucket=args.around.place.apply(lambda place: place.bucket),
            # No word of a lock: said here, it would replace the bucket when it is switched on.
            force_destroy=False,
            tags=args.around.tags("bucket"),
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        self._id = bucket.id
        # They go with the bucket, not with the stack: what stays behind stays closed.
        self._child = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        self._close()
        versioning = self._keep_versions()
        # An object that is put before these would lie there unencrypted, unversioned or unlocked.
        self.ready: list[pulumi.Resource] = [versioning, self._encrypt(args.key)]
        self._expire(config, versioning)
        if config.aws.backup_object_lock_days > 0:
            self.ready.append(self._lock(config.aws.backup_object_lock_days, versioning))
        self.bucket_name = bucket.bucket
        self.register_outputs({"name": self.bucket_name})

    def _close(self) -> None:
        """Turn away the public, foreign owners and plain HTTP."""
        closed = aws.s3.BucketPublicAccessBlock(
            "bucket-private",
            bucket=self._id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        aws.s3.BucketOwnershipControls(
            "bucket-owner",
            bucket=self._id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._child,
        )
        # S3 refuses two changes of a bucket's access at once.
        aws.s3.BucketPolicy(
            "bucket-policy",
            bucket=self._id,
            policy=self._around.place.apply(bucket_policy),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed], retain_on_delete=True),
        )

    def _keep_versions(self) -> aws.s3.BucketVersioning:
        return aws.s3.BucketVersioning(
            "bucket-versions",
            bucket=self._id,
            versioning_configuration={"status": "Enabled"},
            opts=self._child,
        )

    def _encrypt(self, key: pulumi.Input[str]) -> pulumi.Resource:
        default: Any = {"sse_algorithm": "aws:kms", "kms_master_key_id": key}
        return aws.s3.BucketServerSideEncryptionConfiguration(
            "bucket-encryption",
            bucket=self._id,
            rules=[
                {"apply_server_side_encryption_by_default": default, "bucket_key_enabled": True}
            ],
            opts=self._child,
        )

    def _expire(self, config: ClusterConfig, versioning: pulumi.Resource) -> None:
        aws.s3.BucketLifecycleConfiguration(
            "bucket-lifecycle",
            bucket=self._id,
            rules=list(lifecycle_rules(config)),
            # Not kept: whoever destroys the stack gets the bucket as it is, marked or not.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )

    def _lock(self, days: int, versioning: pulumi.Resource) -> pulumi.Resource:
        """Switch the lock on, of a new bucket or of one that is there; S3 knows no way back."""
        return aws.s3.BucketObjectLockConfiguration(
            "bucket-lock",
            bucket=self._id,
            rule={"default_retention": {"mode": "GOVERNANCE", "days": days}},
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[versioning], retain_on_delete=True
            ),
        )


def lifecycle_rules(config: ClusterConfig) -> tuple[Any, ...]:
    """Say when objects go: backups that are marked and past their retention, old versions next day.

    The worker may not delete, it marks what its retention lets go: the last proven snapshot never,
    so it stays however long no worker has run. Nor does a mark alone remove anything: a worker in
    foreign hands can't hasten it. Days are whole, so the age rounds up; they count from the
    object's creation.
    """
    days = -(-config.backup.backup_retention_hours // HOURS_PER_DAY)
    expired = {"prefix": f"{BACKUP_PREFIX}/", "tags": dict([EXPIRED_TAG])}
    return (
        {
            "id": "backups",
            "status": "Enabled",
            "filter": {"and_": expired},
            "expiration": {"days": days},
        },
        {
            "id": "superseded",
            "status": "Enabled",
            "filter": {"prefix": ""},
            # The marker that hides a version, once there is nothing left to hide; S3 takes neither
            # this nor the last of them in a rule that asks for tags.
            "expiration": {"expired_object_delete_marker": True},
            "noncurrent_version_expiration": {"noncurrent_days": NONCURRENT_DAYS},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 1},
        },
    )
