"""The prod stack under the real engine: a copy of the project, our plugins, a simulated account."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
from moto.ec2.models import amis
from moto.iam.access_control import IAMPolicy
from moto.moto_api._internal import moto_api_backend
from moto.s3.models import FakeBucket
from moto.server import ThreadedMotoServer

from tests.aws.associations import Made, associations
from tests.processes.plugins.engine import CHECKOUT, VERSIONS, pulumi_folder
from tests.unit.infra.aws_stack import fill
from toolchain.plugins_home import stand_in

REGION = "eu-central-1"
DEBIAN_IMAGE = {
    "ami_id": "ami-0debian",
    "architecture": "x86_64",
    "creation_date": "2026-11-01T00:00:00.000Z",
    "description": "Debian 13",
    "hypervisor": "xen",
    "image_type": "machine",
    "name": "debian-13-amd64-20261101-1",
    "owner_id": "136693071363",
    "platform": None,
    "public": True,
    "root_device_name": "/dev/xvda",
    "root_device_type": "ebs",
    "sriov": "simple",
    "state": "available",
    "virtualization_type": "hvm",
}
PARTS = (".venv", "age", "infra", "node", "redis_ha", "requirements.txt", "toolchain")


@dataclass
class Account:
    """An account of moto's; `failing` names the gates whose machine doesn't come back."""

    endpoint: str
    associations: Made
    failing: set[str]

    def client(self, service: str) -> Any:
        session = boto3.Session("test", "test", region_name=REGION)
        return session.client(service, endpoint_url=self.endpoint)


def _as_over_tls(bucket: Any, action: str, resource: str) -> Any:
    """Apply a bucket's policy as to a request over TLS: moto knows no condition but equality."""
    policy = json.loads(bucket.policy or '{"Statement": []}')
    plain_http = {"Bool": {"aws:SecureTransport": "false"}}
    policy["Statement"] = [s for s in policy["Statement"] if s.get("Condition") != plain_http]
    return IAMPolicy(json.dumps(policy)).is_action_permitted(action, resource)


@contextmanager
def simulated_account() -> Iterator[Account]:
    """Serve an account on a free port of this host."""
    images = [*amis.AMIS, dict(DEBIAN_IMAGE)]
    failing: set[str] = set()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for each request
    with (
        associations(lambda gate: gate["AssociationName"] not in failing) as made,
        mock.patch.object(amis, "AMIS", images),
        mock.patch.object(FakeBucket, "get_permission", _as_over_tls),
    ):
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        moto_api_backend.reset()
        host, port = server.get_host_and_port()
        try:
            yield Account(f"http://{host}:{port}", made, failing)
        finally:
            server.stop()
            moto_api_backend.reset()


@dataclass
class Prod:
    """The stack `prod` of a copy of the project; all it keeps is below its folder."""

    folder: Path
    account: Account

    @classmethod
    def create(cls, root: Path, account: Account) -> "Prod":
        """Lay the project out with our plugins and an empty stack."""
        folder = root / "project"
        folder.mkdir()
        for part in PARTS:
            (folder / part).symlink_to(CHECKOUT / part)
        # A copy, since the program looks for its files beside itself.
        for file in ("Pulumi.yaml", "Pulumi.prod.yaml", "__main__.py"):
            shutil.copy(CHECKOUT / file, folder)
        for name, version in VERSIONS.items():
            plugin = root / f"home/plugins/resource-{name}-v{version}/pulumi-resource-{name}"
            plugin.parent.mkdir(parents=True)
            plugin.write_text(stand_in(name, checkout=CHECKOUT, python=Path(sys.executable)))
            plugin.chmod(0o755)
        (root / "state").mkdir()
        fill(folder / "packages")
        prod = cls(folder, account)
        prod("stack", "init", "prod")
        prod.set(region=REGION, packageSource="packages")
        return prod

    def __call__(self, *words: str) -> str:
        """Run pulumi and give its output; a failure is told with all that it said."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run pulumi, whatever comes of it."""
        return subprocess.run(
            ["pulumi", "--non-interactive", "--color=never", *words],
            cwd=self.folder, env=self._environment(), capture_output=True, text=True, timeout=280,
            check=False,
        )  # fmt: skip

    def set(self, **settings: str) -> None:
        """Change settings of the stack."""
        for name, value in settings.items():
            self("config", "set", "--stack", "prod", name, value)

    def preview(self) -> str:
        """Run `pulumi preview` and give what it shows."""
        return self("preview", "--diff", "--stack", "prod")

    def up(self) -> dict[str, int]:
        """Run `pulumi up`; say how many resources were created, updated, replaced, kept."""
        self("up", "--yes", "--skip-preview", "--stack", "prod", "--suppress-outputs")
        return self._changes()

    def failing_up(self) -> str:
        """Run `pulumi up`, which must fail, and give all that it says."""
        done = self.run("up", "--yes", "--skip-preview", "--stack", "prod", "--suppress-outputs")
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def refresh(self) -> dict[str, int]:
        """Run `pulumi refresh`; say what was found changed."""
        self("refresh", "--yes", "--skip-preview", "--stack", "prod")
        return self._changes()

    def destroy(self) -> dict[str, int]:
        """Destroy all that isn't protected."""
        self("destroy", "--yes", "--skip-preview", "--exclude-protected", "--stack", "prod")
        return self._changes()

    def resources(self) -> list[dict[str, Any]]:
        """List what the state holds."""
        exported = json.loads(self("stack", "export", "--stack", "prod"))
        found: list[dict[str, Any]] = exported["deployment"].get("resources", [])
        return found

    def _changes(self) -> dict[str, int]:
        history = json.loads(self("stack", "history", "--stack", "prod", "--json"))
        changes: dict[str, int] = history[0]["resourceChanges"]
        return changes

    def _environment(self) -> dict[str, str]:
        root = self.folder.parent
        return {
            "PATH": f"{pulumi_folder()}:{os.environ['PATH']}",
            "HOME": str(root),
            "PULUMI_HOME": str(root / "home"),
            "PULUMI_BACKEND_URL": f"file://{root / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": self.account.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
