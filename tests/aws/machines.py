"""Machines as AWS would boot them: containers with systemd, cloud-init, a disk and an address.

Everything they do is what the stack's own user-data makes them do. Docker gives them what EC2
would: an address that stays, a volume that stays (a loop device), metadata, and the account.
"""

import base64
import os
import secrets
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import redis
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.acl import USER_NAMES
from infra.config import ClusterConfig
from infra.keys import age_recipient
from infra.planner import Plan, make_plan
from infra.rendering import BackupKeys
from infra.settings import parse
from infra.targets.aws.files import Member, member_files, members
from infra.targets.aws.place import Place
from infra.targets.aws.user_data import BootPlaces, device_of, user_data
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import (
    Access,
    NodeView,
    ask_node,
    ask_nodes,
    ask_sentinels,
    majority_master,
)
from redis_ha.round_trip import KEY_PREFIX
from tests.aws.surroundings import REGION, Account
from tests.docker.stack import REPOSITORY, docker, eventually, run
from tests.processes.cluster_files import certificates

IMAGE = "redis-ha-test-machine"
LOG_GROUP = "/redis-ha"
VOLUME_BYTES = 512 << 20
# FACTS, section 4: what systemd needs in a container on a host with cgroups of version 1.
AS_MACHINE = (
    *("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"),
    *("--security-opt", "apparmor=unconfined", "--cgroupns=host", "-t"),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"),
    *("-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "-e", "container=docker"),
    "-e",
    "SYSTEMD_PROC_CMDLINE=systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
)


# The kernel asks for it to make a mounted file system larger; not every host has it to give.
CAP_SYS_RESOURCE = 24


def may_grow() -> bool:
    """Say whether a machine here can have the right that EC2's have."""
    status = Path("/proc/self/status").read_text()
    held = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(held.split()[1], 16) >> CAP_SYS_RESOURCE & 1)


def plan_of(settings: Mapping[str, Any]) -> Plan:
    """Check settings as the stack does."""
    return make_plan(parse(ClusterConfig, {name: str(value) for name, value in settings.items()}))


@dataclass
class Machine:
    """One machine: a container that can be thrown away, a loop device that stays."""

    member: Member
    seed: Path
    volume: str
    device: str
    network: str

    @property
    def name(self) -> str:
        return f"aws-{self.member.data.name}"

    @property
    def address(self) -> Address:
        return Address(self.member.data.host, self.member.data.port)

    def client(self, cluster: "Machines") -> redis.Redis:
        """Open a client to its data node, patient enough for large answers."""
        return cluster.access().connect(self.address, timeout=10.0)

    def keys(self, cluster: "Machines") -> set[str]:
        """Name its data node's keys, but for those that the exporters write and delete."""
        with self.client(cluster) as client:
            names = client.keys("*")
        return {str(name) for name in names if not name.startswith(KEY_PREFIX)}

    def run_id(self, cluster: "Machines") -> str:
        """Return what names its server's life: another one after each start."""
        with self.client(cluster) as client:
            return str(client.info("server")["run_id"])

    def start(self) -> None:
        """Boot a new machine with the old address and volume, whatever was left of one before."""
        eventually(self.removed, within=60, what=f"the name {self.name} is free", every=0.5)
        docker(
            *("run", "--detach", "--name", self.name, "--hostname", self.member.data.name),
            *("--network", self.network, "--ip", self.member.data.host),
            *(("--cap-add", "SYS_RESOURCE") if may_grow() else ()),
            *("--device", f"{self.device}:{device_of(self.volume)}"),
            *("-v", f"{self.seed}:/var/lib/cloud/seed/nocloud:ro", *AS_MACHINE, IMAGE),
        )

    def well(self) -> bool:
        """Say whether its data node and its sentinel say that they are healthy."""
        files = [f"/run/redis-ha/{role}/health" for role in ("data", "sentinel")]
        words = self.inside("cat", *files, check=False).splitlines()
        return len(words) == len(files) and all(word.startswith("ok ") for word in words)

    def make_disk_larger(self, size: int) -> None:
        """Make the volume larger while it is in use, to a number of bytes."""
        backing = run(["losetup", "--noheadings", "--output", "BACK-FILE", self.device])
        os.truncate(backing.stdout.strip(), size)
        run(["losetup", "--set-capacity", self.device])

    def kill(self) -> None:
        """Take the machine's power away."""
        docker("kill", self.name)

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name, check=False)

    def removed(self) -> bool:
        """Remove it and say whether it is gone: an engine that is busy may refuse to."""
        self.remove()
        return docker("ps", "--all", "--quiet", "--filter", f"name=^{self.name}$") == ""

    def inside(self, *command: str, check: bool = True) -> str:
        return docker("exec", self.name, *command, check=check)

    def may_run(self, program: str) -> bool:
        """Say whether a program is there already, whole: it is made executable last."""
        return self.inside("sh", "-c", f"test -x {program} && echo yes", check=False) == "yes"

    def journal(self) -> str:
        """Return what its units said, for an assertion that failed."""
        return self.inside("journalctl", "--no-pager", "-n", "60", check=False)


@dataclass
class Machines:
    """All machines of a plan, and what their operator knows."""

    plan: Plan
    account: Account
    root: Path
    network: str
    passwords: Mapping[str, str]
    package_keys: tuple[str, ...]
    made: list[Machine] = field(default_factory=list)

    @property
    def data_nodes(self) -> list[Address]:
        return [machine.address for machine in self.made]

    def access(self, user: str = "operator") -> Access:
        nodes = self.plan.topology.sentinels
        return Access(
            tuple(Address(node.host, node.port) for node in nodes),
            self.plan.config.sentinel.master_name,
            Credentials(user, self.passwords[user]),
            self.root / "ca.crt",
        )

    def views(self) -> dict[Address, NodeView]:
        return {view.address: view for view in ask_nodes(self.access(), self.data_nodes)}

    def scrape(self, machine: Machine, port: int, path: str) -> str:
        """Read what an exporter of a machine tells Prometheus."""
        trust = ssl.create_default_context(cafile=str(self.root / "ca.crt"))
        url = f"https://{machine.address.host}:{port}{path}"
        with urlopen(url, timeout=10.0, context=trust) as answer:
            return str(answer.read().decode())

    def master(self) -> Machine | None:
        """Return the machine that the sentinels' majority names and that says so itself."""
        named = majority_master(ask_sentinels(self.access()))
        if named is None or ask_node(self.access(), named).role != "master":
            return None
        return next(machine for machine in self.made if machine.address == named)

    def healthy(self) -> bool:
        """Say whether all sentinels name one master and know all others, which follow it.

        Until a sentinel has asked a new master (each 10 s) it knows no replica to promote.
        """
        master, sentinels = self.master(), ask_sentinels(self.access())
        if master is None or {view.master for view in sentinels} != {master.address}:
            return False
        if any(view.replicas < len(self.made) - 1 for view in sentinels):
            return False
        others = [v for address, v in self.views().items() if address != master.address]
        return all(v.role == "slave" and v.link_up and not v.syncing for v in others)

    def wait_until_healthy(self, within: float) -> float:
        try:
            return eventually(self.healthy, within=within, what="a healthy cluster", every=0.5)
        except AssertionError as error:
            said = "\n\n".join(f"{m.name}:\n{m.journal()}" for m in self.made)
            raise AssertionError(f"{error}\n{self.views()}\n{said}") from error

    def make(self) -> None:
        """Keep the secrets, write each machine's user-data and boot them all."""
        self.account.client("logs").create_log_group(logGroupName=LOG_GROUP)
        files = self._shared_files()
        worker_secret = self.account.keep_secret(
            "backup-worker", {"signing.key": files.pop("signing.key")}
        )
        signer = files.pop("signer")
        keys = BackupKeys((age_recipient(base64.b64encode(os.urandom(32)).decode()),), signer)
        here, place = self._here(), Place("000000000000", REGION, "redis-ha")
        for number, member in enumerate(members(self.plan), start=1):
            own = member_files(here, member, place=place, passwords=self.passwords, keys=keys)
            secret = self.account.keep_secret(member.data.name, {**own, **files})
            volume = f"vol-{number:017x}"
            text = user_data(self.plan, member.data, self._places(secret, worker_secret, volume))
            machine = Machine(
                member, self._seed(member, text), volume, self._disk(member), self.network
            )
            self.made.append(machine)
            machine.start()

    def _here(self) -> Plan:
        """Send the workers to this account, which no stack's setting may."""
        config = self.plan.config
        backup = replace(config.backup, backup_s3_endpoint=self.account.endpoint)
        return replace(self.plan, config=replace(config, backup=backup))

    def _shared_files(self) -> dict[str, str]:
        hosts = (*(node.host for node in self.plan.topology.data_nodes), "127.0.0.1")
        ca, certificate, key = certificates(*hosts)
        (self.root / "ca.crt").write_bytes(ca)
        signing = Ed25519PrivateKey.generate()
        pem = signing.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "tls/ca.crt": ca.decode(),
            "tls/node.crt": certificate.decode(),
            "tls/node.key": key.decode(),
            "signing.key": pem.decode(),
            "signer": base64.b64encode(signing.public_key().public_bytes_raw()).decode(),
        }

    def _places(self, node_secret: str, worker_secret: str, volume: str) -> BootPlaces:
        return BootPlaces(
            region=REGION,
            bucket=self.account.bucket,
            package_keys=self.package_keys,
            node_secret=node_secret,
            worker_secret=worker_secret,
            volume_id=volume,
            log_group=LOG_GROUP,
            content="0123456789abcdef",
            endpoint=self.account.endpoint,
        )

    def _seed(self, member: Member, text: str) -> Path:
        seed = self.root / member.data.name
        seed.mkdir()
        (seed / "user-data").write_text(text)
        (seed / "meta-data").write_text(f"instance-id: {member.data.name}\n")
        return seed

    def _disk(self, member: Member) -> str:
        image = self.root / f"{member.data.name}.disk"
        with image.open("wb") as file:
            file.truncate(VOLUME_BYTES)
        return run(["losetup", "--find", "--show", str(image)]).stdout.strip()

    def remove(self) -> None:
        for machine in self.made:
            machine.remove()
            subprocess.run(["losetup", "--detach", machine.device], check=False)


@contextmanager
def network(name: str, subnet: str) -> Iterator[str]:
    """Make a bridge and give the name of its interface on this machine."""
    docker("network", "rm", name, check=False)
    identity = docker("network", "create", "--subnet", subnet, name)
    try:
        yield f"br-{identity[:12]}"
    finally:
        docker("network", "rm", name)


def build_image() -> None:
    """Build the machines' image; Docker's cache makes the second time quick."""
    file = Path(__file__).with_name("Dockerfile")
    run(["docker", "build", "--quiet", "--tag", IMAGE, "--file", str(file), str(REPOSITORY)])


@contextmanager
def machines(
    root: Path, plan: Plan, account: Account, name: str, bundle: Path
) -> Iterator[Machines]:
    """Boot a plan's machines on a network; take all of them away at the end."""
    passwords = {user: secrets.token_hex(24) for user in USER_NAMES}
    with ExitStack() as stack:
        all_of_them = Machines(plan, account, root, name, passwords, account.make_bucket(bundle))
        stack.callback(all_of_them.remove)
        all_of_them.make()
        yield all_of_them
