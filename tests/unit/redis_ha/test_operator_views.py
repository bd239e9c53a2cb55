"""What the operator's commands compute and draw: metrics, picture, settings, plans, failures."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker import config as worker_settings
from redis_ha import backup_report, environment
from redis_ha.cli.env import without_secrets
from redis_ha.cli.failover import hopeless
from redis_ha.cli.scale import settings_for, steps
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from redis_ha.errors import BadSetting, RedisHaError, StackUnavailable, UnknownNode
from redis_ha.explaining import explained, meaning
from redis_ha.findings import State
from redis_ha.permissions import hashed, refused_login
from redis_ha.picture import draw, last_failover, rows
from redis_ha.prediction import predict
from redis_ha.readiness import judge_readiness
from redis_ha.round_trip import Samples
from redis_ha.site import Member, Site, declared, named, numbered_sentinels
from redis_ha.stack import explain_failure, site_of
from redis_ha.stats import compute, percentile
from redis_ha.survey import Lack, Login
from tests.unit.redis_ha.surveys import HEALTHY, A, B, C, S, dead, silent, with_node

EXAMPLE = Path(__file__).parents[3] / ".env.redis-ha.example"


def text_of(survey: object) -> str:
    lines = draw(survey, master_name="mymaster")  # type: ignore[arg-type]
    return "\n".join("".join(text for text, _ in line) for line in lines)


@given(st.lists(st.floats(0.0001, 5.0), min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_a_measured_value_that_its_share_does_not_exceed(
    seconds: list[float], share: float
) -> None:
    value = percentile(seconds, share)
    assert value in [round(second * 1000, 3) for second in seconds]
    within = sum(round(second * 1000, 3) <= value for second in seconds)  # type: ignore[operator]
    assert within >= math.floor(share * len(seconds))


def test_the_six_metrics() -> None:
    stats = compute(HEALTHY, Samples((0.001,) * 3, ("it does not answer in time",)))
    assert stats.availability == 0.75
    assert (stats.agreeing, stats.sentinels, stats.master) == (3, 3, "redis-1")
    assert [(lag.name, lag.bytes, lag.seconds) for lag in stats.lag] == [
        ("redis-2", 0, 0.0),
        ("redis-3", 10, 1.0),
    ]
    assert [load.connections for load in stats.load] == [10] * 3
    assert stats.latency.p99 == 1.0
    assert stats.problem


def test_without_answers_the_metrics_say_nothing_good() -> None:
    survey = dead(silent(silent(silent(HEALTHY, 0), 1), 2), 0)
    stats = compute(survey, Samples((), ("nobody",)))
    assert (stats.availability, stats.agreeing, stats.master) == (0.0, 0, "")
    assert stats.latency.p50 is None
    assert all(lag.bytes is None for lag in stats.lag)


def test_the_picture_shows_who_follows_whom() -> None:
    text = text_of(HEALTHY)
    assert text.index("redis-1") < text.index("├─") < text.index("└─")
    assert "10 B behind" in text
    assert "epoch 2" in last_failover(HEALTHY)
    assert "5 min ago" in last_failover(HEALTHY)
    chained = text_of(with_node(HEALTHY, 2, view_master=B))
    assert "follows another than the master" in chained
    stray = text_of(with_node(HEALTHY, 2, view_role="master"))
    assert "the sentinels don't name it" in stray


def test_nodes_that_follow_each_other_in_a_ring_are_drawn_once() -> None:
    ring = HEALTHY
    for number, master in ((0, B), (1, C), (2, A)):
        ring = with_node(ring, number, view_role="slave", view_master=master)
    text = text_of(ring)
    assert [text.count(f"● redis-{n}") for n in (1, 2, 3)] == [1, 1, 1]


def test_rows_for_programs_all_have_eight_cells() -> None:
    for survey in (HEALTHY, dead(silent(HEALTHY, 0), 1)):
        assert {len(row) for row in rows(survey)} == {8}


def test_the_example_is_read_by_all_who_read_it() -> None:
    values = environment.parse_env_file(EXAMPLE.read_text(), name=str(EXAMPLE))
    parsed = environment.parse(values)
    assert parsed.app is not None
    assert parsed.operator is not None
    assert len(parsed.app.sentinels) == 3
    assert parsed.app.master_name == "mymaster"
    assert parsed.pool == environment.PoolSettings(5, 10, 50)
    worker = worker_settings.load(values)
    assert worker.enabled
    assert worker.interval.total_seconds() == 3600
    assert worker.retention.total_seconds() == 168 * 3600
    guide = {
        *(f"REDIS_SENTINEL_HOST_{n}" for n in (1, 2, 3)),
        *("REDIS_SENTINEL_MASTER", "REDIS_POOL_SIZE", "REDIS_MAX_CONNECTIONS"),
        *("REDIS_MIN_CONNECTIONS", "REDIS_BACKUP_ENABLED", "REDIS_BACKUP_INTERVAL"),
        "REDIS_BACKUP_RETENTION",
    }
    assert guide <= set(values)


def test_settings_may_name_nodes_and_containers() -> None:
    text = EXAMPLE.read_text().replace("#REDIS_NODE_", "REDIS_NODE_")
    values = environment.parse_env_file(
        text.replace("#REDIS_SENTINEL_", "REDIS_SENTINEL_"), name=""
    )
    assert declared({}) == ()
    assert declared(values) == (Member("redis-1", Address("172.28.0.11", 6379), "redis-1"),)
    access = environment.parse(values).operator
    assert access is not None
    sentinels = numbered_sentinels(access, values)
    assert [member.container for member in sentinels] == ["sentinel-1", None, None]
    assert [member.name for member in sentinels] == ["sentinel-1", "sentinel-2", "sentinel-3"]
    with pytest.raises(BadSetting, match="REDIS_NODE_PORT_1"):
        declared(values | {"REDIS_NODE_PORT_1": "none"})


def test_no_secret_is_shown_unasked() -> None:
    shown = without_secrets({"REDIS_PASSWORD": "p", "REDISCLI_AUTH": "p", "REDIS_USERNAME": "u"})
    assert shown == {"REDIS_USERNAME": "u"}


def test_scaling_the_sentinels_takes_the_quorum_along() -> None:
    commands = [" ".join(step) for step in steps(settings_for(4, 5), stack="dev")]
    assert commands == [
        "pulumi config set --stack dev replicas 4",
        "pulumi config set --stack dev sentinels 5",
        "pulumi config set --stack dev quorum 3",
        "pulumi preview --stack dev --non-interactive",
        "pulumi up --stack dev --yes",
    ]


def test_the_prediction_follows_the_settings() -> None:
    faults = {fault["fault"]: fault for fault in predict(HEALTHY)}
    assert faults["crash"]["outage"] == "0.4-1.6 s"
    assert faults["crash unseen"]["outage"] == "5.4-7.5 s"
    assert "5 s" in faults["partition"]["loss"]
    loose = predict(with_node(HEALTHY, 0, config_min_replicas_to_write="0"))
    assert "until it is back" in {f["fault"]: f["loss"] for f in loose}["partition"]
    assert predict(dead(HEALTHY, 0)) == []
    alone = predict(with_node(HEALTHY, 1, witnesses=1))
    assert {f["fault"]: f["outage"] for f in alone}["crash"] == "5.4-6.3 s"


MEANINGS = {
    "[SSL: CERTIFICATE_VERIFY_FAILED] verify failed: certificate has expired": "expired",
    "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate": "not signed by the CA",
    "WRONGPASS invalid username-password pair": "password is wrong",
    "Error 111 connecting to 10.0.0.1:1. Connection refused.": "nobody listens",
    "Timeout connecting to server": "does not answer in time",
    "[SSL: WRONG_VERSION_NUMBER] wrong version number": "does not speak TLS",
    "something else": "something else",
}


@pytest.mark.parametrize(("text", "words"), MEANINGS.items())
def test_a_failure_is_said_in_plain_words(text: str, words: str) -> None:
    assert words in meaning(text)
    assert words in explained(OSError(text))


def test_a_login_is_refused_for_one_of_three_reasons() -> None:
    login = Login("u", hashed("p"))
    account = {"flags": ["on"], "passwords": [hashed("p")]}
    assert refused_login(login, account) == ""
    assert refused_login(login, account | {"flags": ["on", "nopass"], "passwords": []}) == ""
    assert "exist" in refused_login(login, {})
    assert "off" in refused_login(login, account | {"flags": ["off"]})
    other = refused_login(login, account | {"passwords": [hashed("q")]})
    assert "password" in other
    assert hashed("p") not in repr(login)
    survey = with_node(HEALTHY, 1, lacks=(Lack("replica", other),))
    reasons = [finding.reason for finding in judge_readiness(survey)]
    assert "user 'replica' has another password here" in reasons


def test_the_backup_s_word_is_read_and_its_absence_told() -> None:
    good = {"running": True, "troubles": [], "snapshot": "s1", "snapshot_age": 5.0, "proof_age": 4}
    report = backup_report.parse(json.dumps(good), "")
    assert (report.snapshot, report.proof_age, report.absent) == ("s1", 4, "")
    bad = backup_report.parse("", "backup-worker: reach the worker: the container is stopped\n")
    assert bad.absent == "reach the worker: the container is stopped"
    assert backup_report.parse("[]", "").absent
    assert backup_report.ask_backup({}, {}).absent


SITE = Site(
    Access(S, "mymaster", Credentials("operator", "p"), Path("ca.crt")),
    app=None,
    data_nodes=(Member("redis-1", A, "it-redis-1"), Member("redis-2", B)),
    sentinels=named(S, "sentinel"),
)


def test_nodes_are_found_by_name_address_and_container() -> None:
    for text in ("redis-1", str(A), "it-redis-1"):
        assert SITE.data_node(text).address == A
    with pytest.raises(UnknownNode, match=r"redis-1 .*redis-2"):
        SITE.data_node("redis-7")
    assert SITE.name_of(S[1]) == "sentinel-2"
    assert SITE.name_of(C) == str(C)


def test_a_switchover_that_is_hopeless_says_why() -> None:
    assert hopeless(HEALTHY, None) == ""
    assert hopeless(HEALTHY, Member("redis-2", B)) == ""
    assert "master already" in hopeless(HEALTHY, Member("redis-1", A))
    cut = with_node(HEALTHY, 1, view_link_down_seconds=5)
    assert "could be promoted" in hopeless(cut, Member("redis-2", B))
    lacking = with_node(HEALTHY, 2, lacks=(Lack("sentinel", "may not SLAVEOF"),))
    assert "may not SLAVEOF" in hopeless(lacking, None)


OUTPUTS = {
    "nodes": [
        {"name": "redis-1", "role": "data", "address": "10.0.0.1", "port": 1, "container": "x-1"}
    ],
    "sentinels": [{"name": "sentinel-1", "role": "sentinel", "address": "10.0.1.1", "port": 1}],
    "env": {
        "REDIS_SENTINEL_HOST_1": "10.0.1.1",
        "REDIS_SENTINEL_PORT_1": "1",
        "REDIS_OPERATOR_USERNAME": "operator",
        "REDIS_OPERATOR_PASSWORD": "p",
    },
    "ca": "-----BEGIN CERTIFICATE-----\n",
    "plan": {"faults": []},
}


def test_a_stack_s_outputs_make_a_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    site = site_of("dev", OUTPUTS, {"REDIS_HOST_OVERRIDE": "127.0.0.1", "REDIS_USERNAME": "x"})
    assert site.complete
    assert site.data_nodes == (Member("redis-1", A, "x-1"),)
    assert site.sentinels == (Member("sentinel-1", S[0]),)
    assert site.operator.ca.read_text() == OUTPUTS["ca"]
    assert site.operator.ca.parent.stat().st_mode & 0o777 == 0o700
    assert site.operator.locate(A) == Address("127.0.0.1", 1)
    assert site.app is None
    with pytest.raises(StackUnavailable, match="nothing is up"):
        site_of("dev", {}, {})


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("error: no stack named 'x' found\n", "no stack of that name"),
        ("error: get stack secrets manager: incorrect passphrase\n", "can't be opened"),
        ("error: pass the fully qualified name (organization/project/stack)", "folder"),
        ("error: boom\nmore\n", "boom"),
        ("", "without a word"),
    ],
)
def test_what_pulumi_says_becomes_one_sentence(stderr: str, words: str) -> None:
    error: RedisHaError = explain_failure("x", stderr)
    assert words in str(error)
    assert "\n" not in str(error)


def test_states_are_ordered_by_how_bad_they_are() -> None:
    assert State.OK < State.UNKNOWN < State.WARNING < State.BAD
