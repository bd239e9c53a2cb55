"""What a cluster is beside its data: kept in order, without secrets, compared with sense."""

from dataclasses import replace

import pytest

from backup_worker.contents.document import REDACTED, ordered_rules, redacted
from backup_worker.contents.files import Difference, differences, files
from tests.unit.backup_worker.test_formats import DOCUMENT

MASTER, SILENT = DOCUMENT.data_nodes
(SENTINEL,) = DOCUMENT.sentinels


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        ("user a on ~* -@all +ping +get", "user a on ~* -@all +get +ping"),
        ("user a -@all +get -@read +info +exec", "user a -@all +get -@read +exec +info"),
        ("user a +@all -client|kill +client", "user a +@all +client -client|kill"),
        ("user a (~x -@all +set +get) -@all", "user a (~x -@all +get +set) -@all"),
    ],
)
def test_rules_are_told_in_one_order(given: str, ordered: str) -> None:
    assert ordered_rules(given) == ordered
    assert ordered_rules(ordered) == ordered


def test_passwords_are_left_out_of_a_configuration() -> None:
    config = {
        "masterauth": "secret",
        "requirepass": "",
        "tls-key-file-pass": "secret",
        "tls-client-key-file-pass": "secret",
        "primaryauth": "secret",
        "masteruser": "replica",
        "tls-auth-clients": "no",
    }
    kept = redacted(config)
    assert "secret" not in kept.values()
    assert (kept["masterauth"], kept["requirepass"]) == (REDACTED, "")
    assert (kept["masteruser"], kept["tls-auth-clients"]) == ("replica", "no")


def test_files_are_named_by_address() -> None:
    other = replace(SILENT, problem="", users=("user default on",), config={"save": "3600 1"})
    laid = files(replace(DOCUMENT, data_nodes=(MASTER, SILENT, replace(other, address="::1:7"))))
    assert sorted(laid) == [
        "cluster/redis---1-7.acl",
        "cluster/redis---1-7.conf",
        "cluster/redis-10.0.0.1-6380.conf",
        "cluster/redis-10.0.0.2-6380.conf",
        "cluster/sentinel-10.0.0.1-26380.json",
        "cluster/users.acl",
    ]
    assert laid["cluster/redis-10.0.0.1-6380.conf"] == (
        b'# master, 7.0.15\ndatabases 16\nmasterauth (redacted)\nsave ""\n'
    )
    assert laid["cluster/redis-10.0.0.2-6380.conf"] == b"# no answer: Connection refused\n"
    assert laid["cluster/redis---1-7.acl"] == b"user default on\n"


def test_a_cluster_is_no_different_from_itself() -> None:
    assert differences(DOCUMENT, DOCUMENT) == []


def test_each_changed_value_is_one_difference() -> None:
    config = {**MASTER.config, "databases": "32", "new": "1"}
    users = ("user default off -@all", "user other on")
    now = replace(MASTER, config=config, users=users, role="slave")
    found = differences(DOCUMENT, replace(DOCUMENT, data_nodes=(now, SILENT)))
    place = "redis 10.0.0.1:6380"
    assert found == [
        Difference(place, "databases", "16", "32"),
        Difference(place, "new", None, "1"),
        Difference(place, "role", "master", "slave"),
        Difference(place, "user app", f"on #{'7' * 64} ~* &* +@all", None),
        Difference(place, "user other", None, "on"),
    ]


def test_a_sentinels_condition_is_no_difference_but_its_settings_are() -> None:
    now = replace(
        SENTINEL,
        master={**SENTINEL.master, "quorum": "1", "last-ping-sent": "9", "flags": "s_down"},
        replicas=(),
    )
    found = differences(DOCUMENT, replace(DOCUMENT, sentinels=(now,)))
    place = "sentinel 10.0.0.1:26380"
    assert found == [
        Difference(place, "master quorum", "2", "1"),
        Difference(place, "replica 10.0.0.2:6380 ip", "10.0.0.2", None),
        Difference(place, "replica 10.0.0.2:6380 port", "6380", None),
    ]


def test_without_an_answer_there_is_one_difference() -> None:
    silent = replace(MASTER, problem="refused", config={}, users=())
    found = differences(DOCUMENT, replace(DOCUMENT, data_nodes=(silent,)))
    assert found == [
        Difference("redis 10.0.0.1:6380", "answer", "yes", "refused"),
        Difference("redis 10.0.0.2:6380", "answer", "Connection refused", None),
    ]
