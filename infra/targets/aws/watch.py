"""What is noticed without anybody looking: a log of all machines, and alarms on each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.config import ClusterConfig
from infra.targets.aws.policies import METRIC_NAMESPACE
from infra.targets.aws.surroundings import Surroundings

Dimensions = Mapping[str, pulumi.Input[str]]


MISSING, BREACHING = "missing", "breaching"


@dataclass(frozen=True)
class Alarm:
    """One condition: at or beyond `threshold` (the metric's unit) in `periods` of `period` seconds.

    `action` is what EC2 does by itself, beside telling the operator; `silence` is what no data
    means. The metrics of `RedisHA` are those that node.telemetry sends.
    """

    name: str
    metric: str
    text: str
    threshold: float = 1
    above: bool = True
    statistic: str = "Maximum"
    period: int = 60
    periods: int = 2
    action: str = ""
    silence: str = MISSING


INSTANCE_ALARMS: tuple[Alarm, ...] = (
    Alarm(
        "host-failed",
        "StatusCheckFailed_System",
        "The host under the machine fails; EC2 moves it, address and disk stay",
        action="recover",
    ),
    # One minute later than the recovery, so that the two never run at once.
    Alarm(
        "system-hangs",
        "StatusCheckFailed_Instance",
        "The operating system doesn't answer; EC2 restarts it, the cluster has failed over",
        periods=3,
        action="reboot",
    ),
    Alarm(
        "disk-unreachable",
        "StatusCheckFailed_AttachedEBS",
        "A volume doesn't answer: see the AWS Health dashboard, then fail over if it is the master",
    ),
    Alarm(
        "cpu-busy",
        "CPUUtilization",
        "Above 80 % for a quarter of an hour: find the costly commands (SLOWLOG), or grow",
        threshold=80,
        statistic="Average",
        period=300,
        periods=3,
    ),
)
NODE_ALARMS: tuple[Alarm, ...] = (
    Alarm(
        "unhealthy",
        "Healthy",
        "Redis or Sentinel isn't healthy, or the machine is silent: redis-ha health",
        threshold=0,
        above=False,
        periods=3,
        silence=BREACHING,
    ),
    Alarm(
        "volume-filling",
        "DataVolumeUsedPercent",
        "80 % of the data volume are used: raise volumeGb, or lower maxmemory",
        threshold=80,
        period=300,
    ),
    Alarm(
        "memory-short",
        "MemoryUsedPercent",
        "90 % of the memory are used: lower maxmemory, or take a larger instanceType",
        threshold=90,
        period=300,
        periods=3,
    ),
)


def cluster_alarms(config: ClusterConfig) -> tuple[Alarm, ...]:
    """Give the alarms of the cluster as a whole: its backup."""
    if not config.backup.backup_enabled:
        return ()
    return (
        Alarm(
            "backup-overdue",
            "SnapshotAgePercent",
            "The newest good snapshot is older than the worker's limit, or no worker says how old "
            "it is: backup-worker status",
            threshold=100,
            period=300,
            silence=BREACHING,
        ),
        Alarm(
            "backup-troubled",
            "BackupTroubles",
            "The worker has something for an operator to look at: backup-worker status",
            period=300,
            periods=3,
        ),
    )


class Logs(pulumi.ComponentResource):
    """One encrypted log group; each machine writes streams of its own."""

    def __init__(
        self,
        name: str,
        around: Surroundings,
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("redis-ha:aws:Logs", name, None, opts)
        self.group_name = f"/{around.base}"
        self.group = aws.cloudwatch.LogGroup(
            "log-group",
            name=self.group_name,
            retention_in_days=around.plan.config.aws.log_retention_days,
            kms_key_id=key,
            tags=around.tags("log"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"group": self.group.name})


@dataclass(frozen=True)
class AlarmsArgs:
    """The machines' instances by name, and the key of the topic that tells of them."""

    around: Surroundings
    instances: Sequence[tuple[str, pulumi.Output[str]]]
    key: pulumi.Input[str]


class Alarms(pulumi.ComponentResource):
    """Alarms of every machine, told to the operator's topic or to one that is made for it."""

    topic: pulumi.Output[str]

    def __init__(
        self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:aws:Alarms", name, None, opts)
        self._args = args
        self.topic = self._find_topic()
        base, config = args.around.base, args.around.plan.config
        for machine, instance in args.instances:
            for alarm in INSTANCE_ALARMS:
                self._make(alarm, f"{machine}-{alarm.name}", {"InstanceId": instance})
            for alarm in NODE_ALARMS:
                of_node: Dimensions = {"Cluster": base, "Node": machine}
                self._make(alarm, f"{machine}-{alarm.name}", of_node)
        for alarm in cluster_alarms(config):
            self._make(alarm, alarm.name, {"Cluster": base})
        self.register_outputs({"topic": self.topic})

    def _find_topic(self) -> pulumi.Output[str]:
        around = self._args.around
        given = around.plan.config.aws.alarm_target
        if given:
            return pulumi.Output.from_input(given)
        return aws.sns.Topic(
            "alarm-topic",
            name=f"{around.base}-alarms",
            kms_master_key_id=self._args.key,
            tags=around.tags("alarms"),
            opts=pulumi.ResourceOptions(parent=self),
        ).arn

    def _make(self, alarm: Alarm, name: str, dimensions: Dimensions) -> None:
        own = "InstanceId" not in dimensions
        aws.cloudwatch.MetricAlarm(
            name,
            name=f"{self._args.around.base}-{name}",
            alarm_description=alarm.text,
            namespace=METRIC_NAMESPACE if own else "AWS/EC2",
            metric_name=alarm.metric,
            dimensions=dimensions,
            statistic=alarm.statistic,
            period=alarm.period,
            evaluation_periods=alarm.periods,
            threshold=alarm.threshold,
            comparison_operator=(
                "GreaterThanOrEqualToThreshold" if alarm.above else "LessThanOrEqualToThreshold"
            ),
            treat_missing_data=alarm.silence,
            alarm_actions=[*self._by_itself(alarm), self.topic],
            ok_actions=[self.topic],
            tags=self._args.around.tags(name),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _by_itself(self, alarm: Alarm) -> list[Any]:
        if not alarm.action:
            return []
        return [
            self._args.around.place.apply(
                lambda place: f"arn:aws:automate:{place.region}:ec2:{alarm.action}"
            )
        ]
