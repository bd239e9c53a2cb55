"""The planner refuses what is unsafe, names the way out, and predicts what faults cost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.config import ClusterConfig
from infra.errors import PlanRefused
from infra.planner import make_plan, refusals
from infra.settings import parse
from infra.topology import lay_out


def configured(**settings: Any) -> ClusterConfig:
    return parse(ClusterConfig, {name: str(value) for name, value in settings.items()})


def test_the_defaults_pass() -> None:
    assert refusals(ClusterConfig()) == []


@pytest.mark.parametrize(
    ("settings", "refused", "remedy"),
    [
        ({"downAfterMs": 1999, "minReplicasMaxLag": 1}, "downAfterMs", "set it to 2000 or more"),
        ({"downAfterMs": 3000}, "minReplicasMaxLag", "set it to 2 or less, or raise downAfterMs"),
        ({"sentinels": 2}, "sentinels", "set it to 3"),
        ({"sentinels": 4, "quorum": 3}, "sentinels", "set it to 3 or 5"),
        ({"quorum": 1}, "quorum", "set it to 2, the majority"),
        ({"quorum": 4}, "quorum", "set it to 2"),
        ({"replicas": 0, "minReplicasToWrite": 0}, "replicas", "set it to 2"),
        ({"minReplicasToWrite": 3}, "minReplicasToWrite", "set it to 1"),
        ({"subnet": "10.0.0.0/27"}, "subnet", "/26"),
        ({"subnet": "8.8.8.0/24"}, "subnet", "10.0.0.0/8"),
        ({"portOffset": 39000, "sentinels": 9, "quorum": 5}, None, ""),
        ({"portOffset": 40000}, "portOffset", "set it to 39154 or less"),
        ({"maxmemory": "512mb"}, "nodeMemoryMb", "set it to 1152 or more, or lower maxmemory"),
        ({"maxmemory": "0"}, "maxmemory", "set a size"),
        ({"replBacklogSize": "0"}, "replBacklogSize", "set it to 16kb or more"),
        ({"replBacklogSize": "16383"}, "replBacklogSize", "set it to 16kb or more"),
        ({"replBacklogSize": "16kb"}, None, ""),
        ({"maxclients": 10_209}, "maxclients", "set it to 10208 or less, or maxOpenFiles to 10241"),
        ({"maxclients": 10_208}, None, ""),
        ({"maxOpenFiles": 4_096}, "maxclients", "set it to 4064 or less"),
        ({"cpus": "2"}, "ioThreads", "set it to 2 or less, or raise cpus"),
        ({"cpus": "4"}, None, ""),
        ({"stopGraceSeconds": 19}, "stopGraceSeconds", "set it to 20 or more"),
        ({"stopGraceSeconds": 20}, None, ""),
        ({"backupRetentionHours": 1, "backupInterval": 7201}, "backupRetentionHours", "to 3"),
        ({"backupStore": "file:///srv/backup"}, "backupStore", "file:///backup"),
        ({"backupStore": "file:///backup/a"}, None, ""),
        ({"backupS3AccessKeyId": "AK"}, "backupS3AccessKeyId", "set both"),
        ({"certificateRenewalHours": 8760}, "certificateRenewalHours", "set it below 8760"),
        ({"caValidityHours": 1000}, "certificateValidityHours", "set it to 1000 or less"),
        ({"downAfterMs": 2000, "minReplicasMaxLag": 1}, None, ""),
        ({"downAfterMs": 2000, "minReplicasToWrite": 0}, None, ""),
    ],
)
def test_each_rule_refuses_its_own_setting_with_a_remedy(
    settings: dict[str, Any], refused: str | None, remedy: str
) -> None:
    found = refusals(configured(**settings))
    assert [p.setting for p in found] == ([refused] if refused else [])
    assert all(remedy in p.remedy for p in found)


def test_all_refusals_come_at_once_and_nothing_is_planned() -> None:
    with pytest.raises(PlanRefused) as refused:
        make_plan(configured(downAfterMs=1000, sentinels=4, quorum=1))
    assert [p.setting for p in refused.value.problems] == [
        "downAfterMs",
        "minReplicasMaxLag",
        "sentinels",
        "quorum",
    ]
    assert str(refused.value).startswith("the planner refuses these settings as unsafe:\n  - ")


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 8), st.integers(1, 20_000),
    st.integers(0, 8), st.integers(1, 30),
)  # fmt: skip
def test_what_passes_keeps_the_promises(
    sentinels: int, quorum: int, replicas: int, down_after: int, needed: int, lag: int
) -> None:
    config = configured(
        sentinels=sentinels,
        quorum=quorum,
        replicas=replicas,
        downAfterMs=down_after,
        minReplicasToWrite=needed,
        minReplicasMaxLag=lag,
    )
    safe = (
        (sentinels >= 3 and sentinels % 2 == 1)
        and (sentinels // 2 < quorum <= sentinels)
        and (replicas >= 1 and needed <= replicas)
        and down_after >= 2000
        and (needed == 0 or lag * 1000 < down_after)
    )
    assert (refusals(config) == []) == safe


@given(st.integers(0, 8), st.integers(1, 9), st.integers(0, 39_000), st.sampled_from(["", "x-"]))
def test_no_two_nodes_share_an_address_a_port_or_a_name(
    replicas: int, sentinels: int, offset: int, prefix: str
) -> None:
    config = configured(
        replicas=replicas, sentinels=sentinels, portOffset=offset, namePrefix=prefix
    )
    topology = lay_out(config.layout)
    nodes = (
        *(*topology.data_nodes, *topology.sentinels),
        *(topology.worker, *topology.monitors.nodes),
    )
    for part in ("host", "port", "name", "container"):
        values = [getattr(node, part) for node in nodes if part != "port" or node.role != "worker"]
        assert len(set(values)) == len(values)
    assert topology.initial_master.name == "redis-1"
    assert topology.gateway not in {node.host for node in nodes}


def test_the_default_addresses_are_the_documented_ones() -> None:
    topology = lay_out(ClusterConfig().layout)
    assert [(n.container, n.host, n.port) for n in topology.data_nodes] == [
        ("redis-1", "172.28.0.11", 6379),
        ("redis-2", "172.28.0.12", 6380),
        ("redis-3", "172.28.0.13", 6381),
    ]
    assert [(n.container, n.host, n.port) for n in topology.sentinels] == [
        ("sentinel-1", "172.28.0.21", 26379),
        ("sentinel-2", "172.28.0.22", 26380),
        ("sentinel-3", "172.28.0.23", 26381),
    ]
    assert (topology.worker.host, topology.worker.port) == ("172.28.0.31", 6390)
    assert [(n.container, n.host, n.port) for n in topology.monitors.nodes] == [
        ("redis-exporter", "172.28.0.41", 9121),
        ("ha-exporter", "172.28.0.42", 9122),
        ("prometheus", "172.28.0.43", 9090),
        ("alertmanager", "172.28.0.44", 9093),
    ]


@pytest.mark.parametrize(("down_after", "measured"), [(2000, 3.3), (5000, 6.3)])
def test_the_prediction_agrees_with_what_was_measured(down_after: int, measured: float) -> None:
    config = configured(downAfterMs=down_after, minReplicasMaxLag=1, witness="false")
    crash = next(p for p in make_plan(config).predictions if p.fault == "crash")
    assert crash.outage is not None
    assert crash.outage[1] == pytest.approx(measured, abs=0.05)


def test_the_plan_predicts_a_crash_with_and_without_the_witness() -> None:
    outages = {p.fault: p.outage for p in make_plan(ClusterConfig()).predictions}
    assert outages["crash"] == (0.4, 1.6)
    assert outages["crash unseen"] == (5.4, 7.5)


def test_the_plan_says_what_is_lost_where() -> None:
    def losses(**settings: Any) -> dict[str, str]:
        return {p.fault: p.loss for p in make_plan(configured(**settings)).predictions}

    assert losses()["partition"] == "what the isolated master accepts in 5 s"
    assert losses(minReplicasToWrite=0)["partition"].startswith("all that the isolated master")
    assert "same host" in losses()["host loss"]
    assert "3600 s" in losses(backupStore="s3://bucket/a")["host loss"]
    assert "no backup" in losses(backupEnabled="false")["host loss"]
    assert losses()["switchover"] == "none"


def test_the_output_is_plain_values() -> None:
    output = make_plan(ClusterConfig()).output()
    assert {f["fault"] for f in output["faults"]} == {
        *("crash", "crash unseen", "hang", "partition", "switchover", "host loss")
    }
    assert output["downAfterMs"] == 5000
