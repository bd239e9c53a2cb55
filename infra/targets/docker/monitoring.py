"""Those who watch: two exporters, Prometheus, Alertmanager. They come last and hold nobody up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi

from infra.credentials import Authority
from infra.monitoring import (
    RULES_FOLDER,
    alertmanager_options,
    alertmanager_yml,
    exporter_environment,
    exporter_passwords,
    prometheus_options,
    prometheus_yml,
    redis_exporter_options,
)
from infra.planner import Plan
from infra.rendering import Passwords, env_file
from infra.targets.docker.container import (
    PATHS,
    ContainerSpec,
    Surroundings,
    make_container,
    make_volume,
)
from infra.topology import Node

# On one core the stock exporter takes 36 ms of it for a round of scrapes, 50 ms on two.
ONE_CORE = ("GOMAXPROCS=1",)
# Asks a page of a program that speaks HTTP; see node/answers.sh.
ANSWERS = "redis-ha-answers"


@dataclass(frozen=True)
class MonitoringArgs:
    """The plan, the authority that certifies the exporters, and what must be there before.

    `around` names the image of the stage `monitoring`; the rules are read from below `root`.
    """

    plan: Plan
    around: Surroundings
    authority: Authority
    passwords: pulumi.Output[dict[str, str]]
    root: Path
    after: Sequence[pulumi.Resource] = field(default_factory=tuple)


class Monitoring(pulumi.ComponentResource):
    """Four containers that nobody waits for; each is replaced only when its own files change."""

    def __init__(
        self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:docker:Monitoring", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        for spec in (_redis_exporter(args), _ha_exporter(args)):
            make_container(spec, self)
        for spec in (self._prometheus(args), self._alertmanager(args)):
            make_container(spec, self)
        nodes = args.plan.topology.monitors.nodes
        self.register_outputs({"addresses": {node.name: node.host for node in nodes}})

    def _prometheus(self, args: MonitoringArgs) -> ContainerSpec:
        node, rules = args.plan.topology.monitors.prometheus, read_rules(args.root)
        configuration = prometheus_yml(
            args.plan, cluster=pulumi.get_stack(), rules=list(rules), paths=PATHS
        )
        texts = {f"{RULES_FOLDER}/{name}": text for name, text in rules.items()}
        return _spec(
            args,
            node,
            command=("prometheus", *prometheus_options(args.plan, paths=PATHS)),
            memory_mb=args.plan.config.monitoring.prometheus_memory_mb,
            files=_outputs({"prometheus.yml": configuration, **texts}),
            health=(ANSWERS, "http", node.host, str(node.port), "/-/ready"),
            volumes=self._data(node),
        )

    def _alertmanager(self, args: MonitoringArgs) -> ContainerSpec:
        node = args.plan.topology.monitors.alertmanager
        configuration = pulumi.Output.secret(alertmanager_yml(args.plan))
        return _spec(
            args,
            node,
            command=("prometheus-alertmanager", *alertmanager_options(node, paths=PATHS)),
            memory_mb=args.plan.config.monitoring.alertmanager_memory_mb,
            files={"alertmanager.yml": configuration},
            health=(ANSWERS, "http", node.host, str(node.port), "/-/ready"),
            volumes=self._data(node),
        )

    def _data(self, node: Node) -> dict[str, pulumi.Output[str]]:
        return {PATHS.data: make_volume(node, "data", self._child).name}


def read_rules(root: Path) -> dict[str, str]:
    """Read the checkout's rule files by name, sorted."""
    folder = root / "monitoring" / "prometheus" / "rules"
    return {path.name: path.read_text() for path in sorted(folder.glob("*.yml"))}


def _redis_exporter(args: MonitoringArgs) -> ContainerSpec:
    node = args.plan.topology.monitors.redis_exporter

    def render(passwords: Passwords) -> str:
        return exporter_passwords(args.plan, passwords=passwords)

    return _spec(
        args,
        node,
        command=("prometheus-redis-exporter", *redis_exporter_options(node, paths=PATHS)),
        memory_mb=args.plan.config.monitoring.exporter_memory_mb,
        files={"passwords.json": args.passwords.apply(render)},
        health=(ANSWERS, "https", node.host, str(node.port), "/health"),
        certified=True,
    )


def _ha_exporter(args: MonitoringArgs) -> ContainerSpec:
    def render(passwords: Passwords) -> str:
        return env_file(exporter_environment(args.plan, passwords=passwords, paths=PATHS))

    return _spec(
        args,
        args.plan.topology.monitors.ha_exporter,
        command=("redis-ha", "exporter"),
        memory_mb=args.plan.config.monitoring.exporter_memory_mb,
        files={"exporter.env": args.passwords.apply(render)},
        health=("redis-ha-health",),
        certified=True,
    )


def _spec(
    args: MonitoringArgs,
    node: Node,
    *,
    command: Sequence[str],
    memory_mb: int,
    files: Mapping[str, pulumi.Output[str]],
    health: Sequence[str],
    volumes: Mapping[str, pulumi.Output[str]] | None = None,
    certified: bool = False,
) -> ContainerSpec:
    program, *options = command
    return ContainerSpec(
        node=node,
        around=args.around,
        entrypoint=program,
        command=options,
        memory_mb=memory_mb,
        start_wait_seconds=args.plan.config.limits.worker_start_wait_seconds,
        files=files,
        volumes=volumes or {},
        pair=args.authority.issue(node) if certified else None,
        health=health,
        environment=ONE_CORE,
        sealed=True,
        awaited=False,
        after=args.after,
    )


def _outputs(texts: Mapping[str, str]) -> dict[str, pulumi.Output[str]]:
    return {name: pulumi.Output.from_input(text) for name, text in texts.items()}
