"""The effective configuration: committed settings, this checkout's own, and the salt."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infra.config import ClusterConfig
from infra.settings import described
from toolchain.errors import Refused
from toolchain.stack_config import SECRETS, adopt_salt, merge, parse_settings, update

CONFIGS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 3))


def test_pairs_get_the_project_s_namespace_and_an_empty_value_removes() -> None:
    pairs = parse_settings(["portOffset=100", "docker:host=unix:///x=y", "subnet="])
    assert pairs == {
        "redis-ha:portOffset": "100",
        "docker:host": "unix:///x=y",
        "redis-ha:subnet": None,
    }


@pytest.mark.parametrize("word", ["portOffset", "=1", ""])
def test_a_word_that_is_no_pair_is_refused_with_an_example(word: str) -> None:
    with pytest.raises(Refused, match="no name=value pair; write SET="):
        parse_settings([word])


def test_the_secrets_are_those_that_the_stack_declares() -> None:
    assert {each.name for each in described(ClusterConfig) if each.secret} == SECRETS


@pytest.mark.parametrize("namespace", ["", "redis-ha:"])
@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_secret_is_not_taken_from_the_command_line(name: str, namespace: str) -> None:
    with pytest.raises(Refused, match=rf"pulumi config set --secret {name} ") as refused:
        parse_settings([f"{namespace}{name}=hunter2"])
    assert "hunter2" not in str(refused.value)
    assert parse_settings([f"{namespace}{name}="]) == {f"redis-ha:{name}": None}


@given(committed=CONFIGS, previous=CONFIGS)
def test_without_own_settings_the_committed_file_is_followed(
    committed: dict[str, int], previous: dict[str, int]
) -> None:
    merged = merge(committed, effective=previous, previous=previous, settings={})
    assert merged == committed


@given(committed=CONFIGS, previous=CONFIGS, effective=CONFIGS)
def test_what_was_set_here_stays_and_a_second_merge_changes_nothing(
    committed: dict[str, int], previous: dict[str, int], effective: dict[str, int]
) -> None:
    once = merge(committed, effective=effective, previous=previous, settings={})
    own = {k: v for k, v in effective.items() if previous.get(k) != v}
    assert own.items() <= once.items()
    assert merge(committed, effective=once, previous=committed, settings={}) == once


def test_a_setting_is_remembered_and_taken_back(tmp_path: Path) -> None:
    committed, effective = tmp_path / "Pulumi.dev.yaml", tmp_path / "own" / "Pulumi.dev.yaml"
    committed.write_text("config:\n  redis-ha:subnet: 172.28.0.0/24\n")
    update(committed, effective, settings=["subnet=172.29.0.0/24", "portOffset=100"])
    again = update(committed, effective, settings=[])
    assert again == {"redis-ha:subnet": "172.29.0.0/24", "redis-ha:portOffset": "100"}
    back = update(committed, effective, settings=["subnet=", "portOffset="])
    assert back == {"redis-ha:subnet": "172.28.0.0/24"}


def test_the_salt_and_secrets_set_with_pulumi_survive_and_stay_private(tmp_path: Path) -> None:
    committed, effective = tmp_path / "Pulumi.dev.yaml", tmp_path / "own" / "Pulumi.dev.yaml"
    committed.write_text("config: {}\n")
    update(committed, effective, settings=[])
    fresh = tmp_path / "fresh.yaml"
    fresh.write_text("encryptionsalt: v1:abc\nconfig: {ignored: 1}\n")
    adopt_salt(fresh, effective)
    document = yaml.safe_load(effective.read_text())
    document["config"]["redis-ha:token"] = {"secure": "v1:xyz"}
    effective.write_text(yaml.safe_dump(document))

    update(committed, effective, settings=["portOffset=1"])

    kept = yaml.safe_load(effective.read_text())
    assert kept["encryptionsalt"] == "v1:abc"
    assert kept["config"]["redis-ha:token"] == {"secure": "v1:xyz"}
    assert effective.stat().st_mode & 0o777 == 0o600
    assert committed.read_text() == "config: {}\n"


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "word"])
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path: Path, text: str) -> None:
    committed = tmp_path / "Pulumi.dev.yaml"
    committed.write_text(text)
    with pytest.raises(Refused, match=r"Pulumi\.dev\.yaml"):
        update(committed, tmp_path / "own.yaml", settings=[])
