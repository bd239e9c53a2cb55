"""Settings are read once, and everything wrong with them is said at once."""

from contextlib import suppress
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.config import ClusterConfig
from infra.errors import ConfigRefused
from infra.settings import Size, decimal, parse, size


def problems(values: dict[str, str]) -> dict[str, str]:
    with pytest.raises(ConfigRefused) as refused:
        parse(ClusterConfig, values)
    return {p.setting: str(p) for p in refused.value.problems}


def test_nothing_set_gives_the_guides_values() -> None:
    config = parse(ClusterConfig, {})
    assert config == ClusterConfig()
    assert str(config.redis.maxmemory) == "256mb"
    assert config.sentinel.down_after_ms == 5000
    assert config.layout.subnet == IPv4Network("172.28.0.0/24")
    assert config.base == "debian:trixie-slim"


def test_settings_of_every_kind_are_read() -> None:
    config = parse(
        ClusterConfig,
        {
            "engine": "redis-7",
            "subnet": "10.1.0.0/26",
            "ioThreadsDoReads": "false",
            "maxmemory": "1GB",
            "backupRecipients": '["age1' + "q" * 58 + '"]',
            "cpus": "1.50",
            "namePrefix": "other-",
        },
    )
    assert config.base == "debian:bookworm-slim"
    assert config.layout.subnet.prefixlen == 26
    assert config.redis.io_threads_do_reads is False
    assert config.redis.maxmemory == Size(1 << 30)
    assert config.backup.backup_recipients == ("age1" + "q" * 58,)
    assert config.limits.cpus == "1.5"
    assert config.layout.name_prefix == "other-"


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-02-30", "30.11.2026", "2026-11", "2026-11-30T00"]
)
def test_an_image_s_date_is_a_day(text: str) -> None:
    assert parse(ClusterConfig, {"imageDate": "2026-11-30"}).image_date == "2026-11-30"
    assert parse(ClusterConfig, {"imageDate": ""}).image_date == ""
    assert problems({"imageDate": text})["imageDate"].endswith("a date such as 2026-11-30")


def test_all_that_is_wrong_is_said_at_once_with_the_way_out() -> None:
    said = problems(
        {
            "engine": "redis-6",
            "quorum": "two",
            "downAfter": "5000",
            "subnet": "172.28.0.1/24",
            "maxmemory": "lots",
            "backupRecipients": "age1x",
            "zzz": "1",
        }
    )
    assert said["engine"] == (
        "engine = redis-6: cannot be read; it must be redis-8 | redis-7 | valkey-8"
    )
    assert said["downAfter"] == (
        "downAfter = 5000: there is no such setting; did you mean downAfterMs?"
    )
    assert said["zzz"].endswith("remove it: pulumi config rm zzz")
    assert said.keys() == {
        *("engine", "quorum", "downAfter", "subnet", "maxmemory", "backupRecipients", "zzz")
    }


def test_a_secret_is_never_shown() -> None:
    said = problems({"backupS3SecretAccessKey": "with space", "backupS3SecretKey": "hunter2"})
    assert "with space" not in str(said)
    assert "hunter2" not in str(said)
    config = parse(ClusterConfig, {"backupS3SecretAccessKey": "hunter2"})
    assert "hunter2" not in repr(config)


@pytest.mark.parametrize("value", ["[1]", '{"a": 1}', "null", '"age1"'])
def test_a_list_of_something_else_is_refused(value: str) -> None:
    assert "backupRecipients" in problems({"backupRecipients": value})


@given(st.integers(min_value=0, max_value=1 << 40))
def test_a_size_survives_being_written(number: int) -> None:
    assert size().read(str(Size(number))) == Size(number)


@pytest.mark.parametrize("value", ["0.009", "0.000000001", "1000", "-1"])
def test_fewer_cpus_than_docker_gives_are_refused(value: str) -> None:
    assert "at least 0.01, 0 for no limit" in problems({"cpus": value})["cpus"]
    assert parse(ClusterConfig, {"cpus": "0.010"}).limits.cpus == "0.01"


@pytest.mark.parametrize("value", ["0 1", "1 0", "3600 1 0 100", "60", "1 9999999999"])
def test_points_of_saving_that_redis_takes_for_none_are_refused(value: str) -> None:
    assert "both from 1" in problems({"save": value})["save"]
    for taken in ("", "1 1", "3600 1 300 100"):
        assert parse(ClusterConfig, {"save": taken}).redis.save == taken


@given(st.integers(0, 999), st.integers(10**7, 10**9 - 1))
def test_cpus_have_one_form_and_keep_their_value(whole: int, nano: int) -> None:
    shortest = decimal().read(f"{whole}.{nano:09d}")
    assert float(shortest) == pytest.approx(whole + nano / 10**9)
    assert decimal().read(shortest) == shortest
    assert not shortest.endswith(".")


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), min_size=1, max_size=4))
def test_unknown_names_are_refused_whatever_they_are(values: dict[str, str]) -> None:
    assert problems(values).keys() == values.keys()


@given(
    st.sampled_from(["quorum", "maxmemory", "engine", "subnet", "cpus", "save", "backupStore"]),
    st.text(max_size=20),
)
def test_any_text_is_read_or_refused_by_name(name: str, text: str) -> None:
    with suppress(ConfigRefused):
        parse(ClusterConfig, {name: text})
