"""Those who watch: two exporters, Prometheus, Alertmanager. They come last and hold nobody up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi

from infra.containers import (
    PATHS,
    Container,
    alertmanager,
    ha_exporter,
    prometheus,
    redis_exporter,
)
from infra.credentials import Authority
from infra.monitoring import (
    RULES_FOLDER,
    alertmanager_yml,
    exporter_environment,
    exporter_passwords,
    prometheus_yml,
    read_rules,
)
from infra.planner import Plan
from infra.rendering import Passwords, env_file
from infra.targets.docker.container import (
    ContainerSpec,
    Surroundings,
    make_container,
    make_volume,
)


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
        rules = read_rules(args.root)
        configuration = prometheus_yml(
            args.plan, cluster=pulumi.get_stack(), rules=list(rules), paths=PATHS
        )
        texts = {f"{RULES_FOLDER}/{name}": text for name, text in rules.items()}
        files = _outputs({"prometheus.yml": configuration, **texts})
        return _spec(args, prometheus(args.plan), files, parent=self._child)

    def _alertmanager(self, args: MonitoringArgs) -> ContainerSpec:
        files = {"alertmanager.yml": pulumi.Output.secret(alertmanager_yml(args.plan))}
        return _spec(args, alertmanager(args.plan), files, parent=self._child)


def _redis_exporter(args: MonitoringArgs) -> ContainerSpec:
    def render(passwords: Passwords) -> str:
        return exporter_passwords(args.plan, passwords=passwords)

    files = {"passwords.json": args.passwords.apply(render)}
    return _spec(args, redis_exporter(args.plan), files)


def _ha_exporter(args: MonitoringArgs) -> ContainerSpec:
    def render(passwords: Passwords) -> str:
        return env_file(exporter_environment(args.plan, passwords=passwords, paths=PATHS))

    files = {"exporter.env": args.passwords.apply(render)}
    return _spec(args, ha_exporter(args.plan), files)


def _spec(
    args: MonitoringArgs,
    what: Container,
    files: Mapping[str, pulumi.Output[str]],
    *,
    parent: pulumi.ResourceOptions | None = None,
) -> ContainerSpec:
    return ContainerSpec(
        what=what,
        around=args.around,
        files=files,
        volumes={
            path: make_volume(what.node, purpose, parent or pulumi.ResourceOptions()).name
            for path, purpose in what.volumes.items()
        },
        pair=args.authority.issue(what.node) if what.certified else None,
        after=args.after,
    )


def _outputs(texts: Mapping[str, str]) -> dict[str, pulumi.Output[str]]:
    return {name: pulumi.Output.from_input(text) for name, text in texts.items()}
