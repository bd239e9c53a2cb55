"""Those who watch: they come last, hold nobody up, leak nothing; their files say whom to ask."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.acl import USER_NAMES
from infra.config import ClusterConfig
from infra.errors import ConfigRefused
from infra.monitoring import (
    alertmanager_yml,
    exporter_environment,
    exporter_passwords,
    prometheus_options,
    prometheus_yml,
    read_rules,
    redis_exporter_options,
)
from infra.planner import Plan, make_plan, refusals
from infra.rendering import Paths
from infra.settings import parse
from infra.targets.docker import monitoring
from tests.unit.infra.recorded_graph import (
    Graph,
    Registered,
    hidden_words,
    leave_out_secrets,
    record,
)

MONITORS = ("redis-exporter", "ha-exporter", "prometheus", "alertmanager")
SCRAPE_INTERVAL = "15s"
WEBHOOK = "https://hooks.example.org/services/hidden?a=1&b=<2>"
PASSWORDS = {user: f"secret-of-{user}" for user in USER_NAMES}


def plan(**settings: str) -> Plan:
    return make_plan(parse(ClusterConfig, settings))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return record({"alertWebhook": WEBHOOK})


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Rule files that a test may change, in place of the checkout's."""
    files = {"a.yml": "groups: []", "b.yml": "groups: []"}
    monkeypatch.setattr(monitoring, "read_rules", lambda _: dict(files))
    return files  # type: ignore[return-value]


def carriers(graph: Graph) -> dict[str, Registered]:
    found = {name: c for name, c in graph.containers.items() if name.endswith("-files-carrier")}
    return {name.removesuffix("-files-carrier"): each for name, each in found.items()}


def inputs_of(graph: Graph) -> dict[str, dict[str, Any]]:
    return {name: container.inputs for name, container in graph.containers.items()}


def test_they_come_after_the_worker_and_nobody_waits_for_them(graph: Graph) -> None:
    worker = graph.containers["backup-worker"].urn
    for name in MONITORS:
        container = graph.containers[name]
        assert worker in container.dependencies
        assert container.inputs["wait"] is False
        assert container.inputs["mustRun"] is True
    others = [c for name, c in graph.containers.items() if name.split("-files")[0] not in MONITORS]
    urns = {graph.containers[name].urn for name in MONITORS}
    assert len(others) == 7 + 6  # the nodes' files come by carriers
    assert not any(urns & set(other.dependencies) for other in others)


def test_their_root_is_read_only_and_files_come_through_a_volume(graph: Graph) -> None:
    for name in MONITORS:
        container, carrier = graph.containers[name].inputs, carriers(graph)[name].inputs
        assert container["readOnly"] is True
        assert "uploads" not in container
        carried = {"containerPath": "/etc/redis-ha", "volumeName": f"{name}-files"}
        assert carried | {"readOnly": True} in container["volumes"]
        assert carried in carrier["volumes"]
        assert (carrier["start"], carrier["mustRun"], carrier["networkMode"]) == (
            *(False, False, "none"),
        )
        assert {"label": "redis-ha.files", "value": f"{name}-files-carrier-id"} in container[
            "labels"
        ]


def test_pages_are_on_loopback_and_a_private_image_of_their_own(graph: Graph) -> None:
    ports = {name: graph.containers[name].inputs["ports"] for name in MONITORS}
    expected = dict(zip(MONITORS, (9121, 9122, 9090, 9093), strict=True))
    assert ports == {
        name: [{"internal": port, "external": port, "ip": "127.0.0.1"}]
        for name, port in expected.items()
    }
    images = graph.of_type("RemoteImage")
    assert images["monitoring-image"].inputs["build"]["target"] == "monitoring"
    assert images["node-image"].urn in images["monitoring-image"].dependencies
    assert images["monitoring-image"].inputs["name"].startswith("redis-ha-monitoring:redis-8-")


def test_the_stack_says_where_they_are(graph: Graph) -> None:
    found = {n["name"]: (n["address"], n["hostPort"]) for n in graph.outputs["monitoring"]}
    assert found == {
        "redis-exporter": ("172.28.0.41", 9121),
        "ha-exporter": ("172.28.0.42", 9122),
        "prometheus": ("172.28.0.43", 9090),
        "alertmanager": ("172.28.0.44", 9093),
    }


def test_switched_off_they_are_gone_and_the_cluster_is_the_same(graph: Graph) -> None:
    without = record({"monitoring": "false"})
    assert without.outputs["monitoring"] == []
    kept = inputs_of(without)
    assert kept == {k: v for k, v in inputs_of(graph).items() if k in kept}
    assert len(kept) == 7 + 6
    gone = {r.name for r in graph.registered} - {r.name for r in without.registered}
    assert {f"{name}-container" for name in MONITORS} < gone


def test_a_changed_rule_touches_prometheus_only(rules: dict[str, str]) -> None:
    before = inputs_of(record({}))
    rules["b.yml"] = "groups: [changed]"
    after = inputs_of(record({}))
    assert [name for name in before if before[name] != after[name]] == ["prometheus-files-carrier"]
    files = {u["file"]: u["content"] for u in after["prometheus-files-carrier"]["uploads"]}
    assert files["/etc/redis-ha/rules/b.yml"] == "groups: [changed]"
    named = yaml.safe_load(files["/etc/redis-ha/prometheus.yml"])["rule_files"]
    assert named == ["/etc/redis-ha/rules/a.yml", "/etc/redis-ha/rules/b.yml"]


def test_the_checkouts_rules_are_read_by_name() -> None:
    read = monitoring.read_rules(Path(__file__).parents[3])
    assert read
    assert list(read) == sorted(read)
    assert all(yaml.safe_load(text)["groups"] for text in read.values())


def test_one_look_alone_calls_nobody() -> None:
    """What a scrape saw stands until the next one, also when it was over a moment later."""
    rules = [
        rule
        for text in monitoring.read_rules(Path(__file__).parents[3]).values()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "for" in rule and "increase(" not in rule["expr"]
    ]
    interval = timedelta(seconds=int(SCRAPE_INTERVAL.removesuffix("s")))
    units = {"s": "seconds", "m": "minutes"}
    waits = {r["alert"]: timedelta(**{units[r["for"][-1]]: int(r["for"][:-1])}) for r in rules}
    assert len(waits) > 20
    assert {alert for alert, wait in waits.items() if wait <= interval} == set()


def test_no_secret_is_on_a_command_line_or_readable_in_the_state(graph: Graph) -> None:
    for name in MONITORS:
        inputs = graph.containers[name].inputs
        assert not hidden_words(json.dumps([inputs["entrypoints"], inputs["command"]]))
        assert inputs["envs"] == ["GOMAXPROCS=1"]
    written = json.dumps([each.properties for each in graph.registered])
    assert "hooks.example.org" in written
    shown = json.dumps([leave_out_secrets(each.properties) for each in graph.registered])
    assert "hooks.example.org" not in shown
    assert "hooks.example.org" not in json.dumps(
        {k: v for k, v in graph.outputs.items() if k not in graph.secret_outputs}
    )


def test_prometheus_asks_everybody_over_tls_at_fixed_addresses() -> None:
    made = plan(portOffset="100")
    text = prometheus_yml(made, cluster="dev", rules=["a.yml"], paths=Paths())
    written = yaml.safe_load(text)
    assert written["global"]["external_labels"] == {"cluster": "dev"}
    assert written["global"]["scrape_interval"] == SCRAPE_INTERVAL
    assert not any("scrape_interval" in job for job in written["scrape_configs"])
    jobs = {job["job_name"]: job for job in written["scrape_configs"]}
    assert list(jobs) == [
        *("redis", "sentinel", "redis-exporter", "redis-ha", "backup-worker"),
        *("prometheus", "alertmanager"),
    ]
    secured = {name for name, job in jobs.items() if job.get("scheme") == "https"}
    assert secured == {"redis", "sentinel", "redis-exporter", "redis-ha", "backup-worker"}
    assert {job["tls_config"]["ca_file"] for job in jobs.values() if "scheme" in job} == {
        "/etc/redis-ha/tls/ca.crt"
    }
    assert jobs["redis"]["static_configs"][1] == {
        "targets": ["rediss://172.28.0.12:6480"],
        "labels": {"node": "redis-2"},
    }
    assert len(jobs["sentinel"]["static_configs"]) == 3
    assert jobs["redis"]["relabel_configs"][-1]["replacement"] == "172.28.0.41:9221"
    # Our exporter has a label `node` of its own: the target must not have one.
    assert jobs["redis-ha"]["static_configs"] == [{"targets": ["172.28.0.42:9222"]}]
    assert jobs["backup-worker"]["static_configs"] == [{"targets": ["172.28.0.31:9390"]}]
    (alerting,) = written["alerting"]["alertmanagers"]
    assert alerting["static_configs"] == [{"targets": ["172.28.0.44:9193"]}]


def test_a_worker_that_takes_no_backups_is_not_asked() -> None:
    text = prometheus_yml(plan(backupEnabled="false"), cluster="dev", rules=[], paths=Paths())
    jobs = [job["job_name"] for job in yaml.safe_load(text)["scrape_configs"]]
    assert "backup-worker" not in jobs
    assert "redis-ha" in jobs


def test_what_only_follows_from_another_alert_calls_nobody() -> None:
    rules = [*read_rules(Path(__file__).parents[3]).values()]
    groups = [group for text in rules for group in yaml.safe_load(text)["groups"]]
    alerts = {rule.get("alert") for group in groups for rule in group["rules"]}
    for rule in yaml.safe_load(alertmanager_yml(plan()))["inhibit_rules"]:
        (source,), (targets,) = rule["source_matchers"], rule["target_matchers"]
        names = {source.split('"')[1], *targets.split('"')[1].split("|")}
        assert len(names) > 1
        assert names <= alerts


def inhibited() -> set[tuple[str, str, tuple[str, ...]]]:
    """Give each inhibition: what is active, what it holds back, and the labels that must agree."""
    return {
        (rule["source_matchers"][0].split('"')[1], target, tuple(rule.get("equal", ())))
        for rule in yaml.safe_load(alertmanager_yml(plan()))["inhibit_rules"]
        for target in rule["target_matchers"][0].split('"')[1].split("|")
    }


def test_what_docs_tell_an_operators_own_alertmanager_is_what_ours_does() -> None:
    text = (Path(__file__).parents[3] / "docs" / "AWS.md").read_text()
    blocks = [yaml.safe_load(block.partition("\n```")[0]) for block in text.split("```yaml\n")[1:]]
    (found,) = [block for block in blocks if "inhibit_rules" in block]
    assert found == {"inhibit_rules": yaml.safe_load(alertmanager_yml(plan()))["inhibit_rules"]}
    (sample,) = [block for block in blocks if "scrape_configs" in block]
    ours = yaml.safe_load(prometheus_yml(plan(), cluster="prod", rules=[], paths=Paths()))
    assert sample["global"] == ours["global"]


def test_every_group_of_rules_brings_its_interval() -> None:
    """Another's Prometheus evaluates each minute by itself, too seldom for `for: 20s`."""
    texts = read_rules(Path(__file__).parents[3]).values()
    groups = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    assert {g["name"]: g.get("interval") for g in groups if "slo" not in g["name"]} == {
        g["name"]: "5s" for g in groups if "slo" not in g["name"]
    }
    assert all(g.get("interval") for g in groups)


def test_one_members_alert_holds_back_no_others() -> None:
    assert ("RedisNodeDown", "RedisReplicaUnlinked", ("node",)) in inhibited()
    assert ("RedisConnectionsExhausted", "RedisUnmeasured", ("node",)) in inhibited()
    assert ("BackupStoreAway", "BackupLogBehind", ("instance",)) in inhibited()
    assert ("BackupStoreAway", "BackupLogBehind", ()) not in inhibited()


def test_the_dead_mans_switch_is_heard_each_five_minutes() -> None:
    """Alertmanager looks each group_interval, and a repeat that is due just then waits for one."""
    (route,) = yaml.safe_load(alertmanager_yml(plan()))["route"]["routes"]
    assert route["matchers"] == ['alertname = "Watchdog"']
    group, repeat = seconds(route["group_interval"]), seconds(route["repeat_interval"])
    assert repeat % group
    assert -(-repeat // group) * group == 300


def seconds(text: str) -> int:
    minutes, _, rest = text.partition("m")
    return int(minutes) * 60 + int(rest.removesuffix("s") or 0)


def test_the_webhook_is_the_receiver_or_nobody_is_called() -> None:
    with_webhook = yaml.safe_load(alertmanager_yml(plan(alertWebhook=WEBHOOK)))
    (receiver,) = with_webhook["receivers"]
    assert receiver["webhook_configs"] == [{"url": WEBHOOK, "send_resolved": True}]
    without = yaml.safe_load(alertmanager_yml(plan()))
    assert without["receivers"] == [{"name": with_webhook["route"]["receiver"]}]


def test_the_stock_exporter_finds_a_password_under_either_versions_key() -> None:
    written = json.loads(exporter_passwords(plan(), passwords=PASSWORDS))
    assert set(written.values()) == {PASSWORDS["exporter"]}
    assert {"rediss://172.28.0.11:6379", "rediss://exporter@172.28.0.23:26381"} < set(written)
    assert len(written) == 12
    options = redis_exporter_options(plan().topology.monitors.redis_exporter, paths=Paths())
    assert "--redis.user=exporter" in options
    assert not any(PASSWORDS["exporter"] in option for option in options)


def test_our_exporter_can_ask_and_write_but_not_administrate() -> None:
    settings = exporter_environment(plan(), passwords=PASSWORDS, paths=Paths())
    used = {user for user in USER_NAMES if PASSWORDS[user] in settings.values()}
    assert used == {"exporter", "app"}
    assert settings["REDIS_EXPORTER_METRICS_HOST"] == "172.28.0.42"
    assert settings["REDIS_EXPORTER_STOCK"] == "172.28.0.41:9121"
    assert settings["REDIS_NODE_NAME_3"] == "redis-3"


@pytest.mark.parametrize(("size", "written"), [("2gb", "2GB"), ("300mb", "300MB")])
def test_retention_is_bounded_by_age_and_size(size: str, written: str) -> None:
    made = plan(prometheusRetentionSize=size, prometheusRetentionDays="3")
    options = prometheus_options(made, paths=Paths())
    assert f"--storage.tsdb.retention.size={written}" in options
    assert "--storage.tsdb.retention.time=3d" in options


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, False),
        ({"prometheusRetentionDays": "31"}, False),
        ({"prometheusRetentionDays": "30"}, True),
        ({"prometheusRetentionDays": "15", "monitoring": "false"}, False),
    ],
)
def test_samples_that_end_before_the_promise_does_are_remarked_upon(
    settings: dict[str, str], *, told: bool
) -> None:
    assert ("prometheusRetentionDays" in plan(**settings).summary()) is told


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"alertWebhook": WEBHOOK, "monitoring": "false"}, ["alertWebhook"]),
        ({"alertWebhook": WEBHOOK}, []),
        ({"prometheusRetentionSize": "0"}, ["prometheusRetentionSize"]),
        ({"prometheusRetentionSize": "128mb"}, []),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, str], refused: list[str]) -> None:
    found = refusals(parse(ClusterConfig, settings))
    assert [problem.setting for problem in found] == refused
    assert "hooks" not in str(found)


def test_a_webhook_is_a_url() -> None:
    for wrong in ("hooks.example.org", "ftp://example.org", "http:///path", "https://a b"):
        with pytest.raises(ConfigRefused) as refused:
            plan(alertWebhook=wrong)
        assert wrong not in str(refused.value)
