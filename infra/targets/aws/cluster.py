"""The whole cluster on AWS: one machine in each of three zones, and all that they stand on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.credentials import Authority, BackupSecrets, Passwords
from infra.planner import Plan
from infra.targets.aws.bucket import Bucket, BucketArgs
from infra.targets.aws.bundle import Bundle, upload
from infra.targets.aws.files import (
    Member,
    client_environment,
    digest,
    member_files,
    members,
    secret_text,
)
from infra.targets.aws.guardrails import guard
from infra.targets.aws.image import newest_image
from infra.targets.aws.keys import Keys
from infra.targets.aws.machine import (
    Boot,
    InterfaceArgs,
    Machine,
    MachineArgs,
    fixed_interface,
)
from infra.targets.aws.network import Endpoints, ExistingNetwork, Network
from infra.targets.aws.place import Place
from infra.targets.aws.role import NodeRole, RoleArgs
from infra.targets.aws.secrets import SecretArgs, StoredSecret
from infra.targets.aws.security_groups import GroupsArgs, SecurityGroups
from infra.targets.aws.surroundings import Surroundings
from infra.targets.aws.watch import Alarms, AlarmsArgs, Logs
from infra.topology import Node
from infra.zones import zones_of


@dataclass(frozen=True)
class RedisHaClusterArgs:
    """A checked plan of target `aws`, and the bundle that its nodes are installed from.

    `network` puts the cluster into a VPC that another program made, in place of the settings';
    `clients` are security groups to let in beside those of the settings.
    """

    plan: Plan
    bundle: Bundle
    network: ExistingNetwork | None = None
    clients: Sequence[pulumi.Input[str]] = field(default_factory=tuple)


class RedisHaCluster(pulumi.ComponentResource):
    """Redis with its sentinels and backups in three zones; a change rolls from node to node."""

    def __init__(
        self, name: str, args: RedisHaClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        guarded = pulumi.ResourceOptions(transformations=[guard])
        super().__init__(
            "redis-ha:aws:RedisHaCluster", name, None, pulumi.ResourceOptions.merge(opts, guarded)
        )
        self._plan = args.plan
        self._child = pulumi.ResourceOptions(parent=self)
        self._around = Surroundings(args.plan, _place(args.plan, self))
        self._passwords = Passwords(
            "passwords", args.plan.config.generations.password_generation, self._child
        )
        self._secrets = BackupSecrets(
            "backup",
            args.plan.config.backup,
            args.plan.config.generations.backup_key_generation,
            self._child,
            # The bucket and its key stay when the stack goes, and this is what opens a backup.
            protect=True,
        )
        self._authority = Authority(
            "ca", args.plan.config.certificates, args.plan.config.generations, self._child
        )
        self._keys = Keys("keys", self._around, self._child)
        self._open_network(args)
        self._logs = Logs("logs", self._around, self._keys.secrets, self._child)
        self._store(args.bundle)
        self.machines = self._make_machines()
        self._alarms = self._make_alarms()
        self.register_outputs({"bucket": self.bucket.bucket_name})

    def outputs(self) -> dict[str, Any]:
        """Give the stack's outputs; passwords and the identity are secret."""
        topology, plan = self._plan.topology, self._plan
        environment = pulumi.Output.all(
            self._around.place, self._passwords.by_user, self._secrets.keys
        ).apply(lambda known: client_environment(plan, known[0], passwords=known[1], keys=known[2]))
        return {
            "nodes": [_described(node) for node in topology.data_nodes],
            "sentinels": [_described(node) for node in topology.sentinels],
            "instances": {m.data.name: each.instance.id for m, each in self.machines},
            "env": pulumi.Output.secret(environment),
            "ca": self._authority.certificate,
            "clientSecurityGroup": self.groups.clients.id,
            "bucket": self.bucket.bucket_name,
            "alarmTopic": self._alarms.topic,
            **self._secrets.outputs,
        }

    def _open_network(self, args: RedisHaClusterArgs) -> None:
        settings = self._plan.config.aws
        self._routed: list[pulumi.Resource] = []
        self._endpoints: Endpoints | None = None
        self._network = args.network or _named_network(self._plan) or self._make_network()
        groups = GroupsArgs(
            around=self._around,
            vpc_id=self._network.vpc_id,
            endpoints=self._endpoints,
            clients=(*settings.allowed_client_security_groups, *args.clients),
            monitoring=settings.allowed_monitoring_security_groups,
        )
        self.groups = SecurityGroups("security-groups", groups, self._child)
        self._interfaces = self._make_interfaces()
        if self._endpoints:
            self._endpoints.open_services(after=self._interfaces)

    def _make_interfaces(self) -> list[aws.ec2.NetworkInterface]:
        return [
            fixed_interface(
                InterfaceArgs(self._around, member, subnet, self.groups.nodes.id), self._child
            )
            for member, subnet in zip(members(self._plan), self._network.subnet_ids, strict=True)
        ]

    def _make_network(self) -> ExistingNetwork:
        network = Network("network", self._around, self._child)
        self._routed = network.routed
        if self._plan.config.aws.endpoints:
            self._endpoints = Endpoints("endpoints", self._around, network, self._child)
        return network.made

    def _store(self, bundle: Bundle) -> None:
        self.bucket = Bucket("store", BucketArgs(self._around, self._keys.data), self._child)
        self._bundle_key = bundle.key
        self._bundle = upload(bundle, self._around, self.bucket, self)
        worker = SecretArgs(
            around=self._around,
            what="backup-worker",
            text=self._secrets.signing_key.apply(lambda key: secret_text({"signing.key": key})),
            key=self._keys.secrets,
        )
        self._worker_secret = StoredSecret("backup-worker-secret", worker, self._child)

    def _make_machines(self) -> list[tuple[Member, Machine]]:
        """Make them one after another: each waits until the one before is in sync."""
        image = newest_image(self._plan, self)
        made: list[tuple[Member, Machine]] = []
        for member, zone, interface in zip(
            members(self._plan),
            zones_of(self._plan.config.aws),
            self._interfaces,
            strict=True,
        ):
            args = self._machine_args(member, zone, interface, image, made)
            made.append((member, Machine(member.data.name, args, self._child)))
        return made

    def _machine_args(
        self,
        member: Member,
        zone: str,
        interface: aws.ec2.NetworkInterface,
        image: pulumi.Output[str],
        made: Sequence[tuple[Member, Machine]],
    ) -> MachineArgs:
        name = member.data.name
        text = self._secret_text(member)
        secret = StoredSecret(
            f"{name}-secret", SecretArgs(self._around, name, text, self._keys.secrets), self._child
        )
        arns = (secret.arn, self._worker_secret.arn)
        role = NodeRole(
            f"{name}-rights", RoleArgs(self._around, name, self._keys, arns), self._child
        )
        return MachineArgs(
            around=self._around,
            member=member,
            zone=zone,
            interface=interface,
            key=self._keys.data,
            profile=role.profile,
            image=image,
            boot=self._boot(secret, text),
            before=self._stood_on(secret, role),
            after=[machine.ready for _, machine in made[-1:]],
        )

    def _boot(self, secret: StoredSecret, text: pulumi.Output[str]) -> Boot:
        content = pulumi.Output.all(text, self._secrets.signing_key).apply(
            lambda texts: digest(*texts)
        )
        return Boot(
            bucket=self.bucket.bucket_name,
            package_keys=(self._bundle_key,),
            node_secret=secret.arn,
            worker_secret=self._worker_secret.arn,
            log_group=self._logs.group_name,
            content=pulumi.Output.unsecret(content),
        )

    def _stood_on(self, secret: StoredSecret, role: NodeRole) -> list[pulumi.Resource]:
        """List what a machine needs the moment it boots."""
        ways_out = self._endpoints.all if self._endpoints else []
        return [
            secret.current,
            self._worker_secret.current,
            self._logs.group,
            *role.policies,
            self._bundle,
            *ways_out,
            *self._routed,
            *self.groups.rules,
        ]

    def _secret_text(self, member: Member) -> pulumi.Output[str]:
        pair = self._authority.issue(member.data, also=(member.sentinel.name,))
        known = pulumi.Output.all(
            self._around.place,
            self._passwords.by_user,
            self._secrets.keys,
            self._authority.certificate,
            pair.certificate,
            pair.private_key,
        )

        def written(known: Sequence[Any]) -> str:
            place, passwords, keys, authority, certificate, private_key = known
            files = member_files(self._plan, member, place=place, passwords=passwords, keys=keys)
            tls = {
                "tls/ca.crt": authority,
                "tls/node.crt": certificate,
                "tls/node.key": private_key,
            }
            return secret_text({**files, **tls})

        return pulumi.Output.secret(known.apply(written))

    def _make_alarms(self) -> Alarms:
        instances = [(m.data.name, machine.instance.id) for m, machine in self.machines]
        args = AlarmsArgs(self._around, instances, self._keys.secrets)
        return Alarms("alarms", args, self._child)


def _place(plan: Plan, parent: pulumi.Resource) -> pulumi.Output[Place]:
    settings, base = plan.config.aws, plan.topology.network
    caller = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=parent))
    return caller.account_id.apply(
        lambda account: Place(account, settings.region, base, dict(settings.tags))
    )


def _named_network(plan: Plan) -> ExistingNetwork | None:
    settings = plan.config.aws
    if not settings.vpc_id:
        return None
    return ExistingNetwork(settings.vpc_id, settings.subnet_ids)


def _described(node: Node) -> dict[str, Any]:
    return {"name": node.name, "role": node.role, "address": node.host, "port": node.port}
