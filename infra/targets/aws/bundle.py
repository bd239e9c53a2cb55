"""The one file that a machine is installed from: found in a folder, uploaded to the own bucket.

Private subnets reach no package mirror. Of the three ways to packages, a NAT would open the nodes'
whole network outwards and cost more than the rest of it; a baked image has to be built, stored and
renewed in each region. A bundle in the bucket is the one that was tested, comes over a route that
costs nothing, and a changed one rolls through the nodes as any change does.
"""

from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

import pulumi
import pulumi_aws as aws

from infra.errors import PackagesMissing
from infra.machines import MACHINES
from infra.planner import Plan
from infra.targets.aws.bucket import Bucket
from infra.targets.aws.policies import PACKAGE_PREFIX
from infra.targets.aws.surroundings import Surroundings
from infra.targets.aws.user_data import BUNDLE


@dataclass(frozen=True)
class Bundle:
    """Debian packages and our code in one file that is named after its content."""

    path: Path
    sha256: str

    @property
    def key(self) -> str:
        """Its key in the bucket."""
        return f"{PACKAGE_PREFIX}/{self.path.name}"


def bundle_folder(plan: Plan, root: Path) -> Path:
    """Say where the bundle for the plan's engine and machines lies, below the checkout `root`."""
    settings = plan.config.aws
    architecture = MACHINES[settings.instance_type].architecture
    usual = f".redis-ha/packages/{plan.config.engine}-{architecture}"
    return root / (settings.package_source or usual)


def find_bundle(folder: Path) -> Bundle:
    """Find the bundle in a folder; errors: PackagesMissing unless there is one, and it is whole."""
    found = [p for p in folder.glob("*") if BUNDLE.fullmatch(f"{PACKAGE_PREFIX}/{p.name}")]
    if len(found) != 1:
        raise PackagesMissing(
            f"install the nodes: {folder} holds {len(found)} files named node-<sha256>.tar, and it "
            "must be one, since private subnets reach no mirror; run `make packages`, or set "
            "packageSource to a folder that has it"
        )
    (path,) = found
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    if digest not in path.name:
        raise PackagesMissing(
            f"install the nodes: {path} is damaged, its content is not what its name says; "
            "delete it and run `make packages`"
        )
    return Bundle(path, digest)


def upload(
    bundle: Bundle, around: Surroundings, bucket: Bucket, parent: pulumi.Resource
) -> aws.s3.BucketObjectv2:
    """Declare the bundle as an object of the bucket."""
    return aws.s3.BucketObjectv2(
        "bundle",
        bucket=bucket.bucket_name,
        key=bundle.key,
        source=pulumi.FileAsset(str(bundle.path)),
        source_hash=bundle.sha256,
        # A lock is for backups; an old bundle goes when a new one has rolled through.
        force_destroy=around.plan.config.aws.backup_object_lock_days > 0 or None,
        tags=around.own_tags("bundle"),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=bucket.ready),
    )
