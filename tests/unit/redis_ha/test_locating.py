"""What is known of a cluster that the settings name by its sentinels only."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from redis_ha import locating
from redis_ha.cli.main import execute
from redis_ha.connection import Address
from redis_ha.discovery import SentinelView
from redis_ha.errors import BadSetting, Unreachable
from redis_ha.locating import find_site, find_unasked
from tests.processes.redis_ha.strangers import paper

SENTINELS = [Address(f"10.0.0.2{n}", 26379) for n in (1, 2, 3)]
NODES = [Address(f"10.0.0.1{n}", 6379) for n in (1, 2, 3)]


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    ca, _ = paper(tmp_path, valid_for=timedelta(days=1))
    monkeypatch.setattr(
        locating, "ask_sentinels", lambda _: [SentinelView(s, NODES[2]) for s in SENTINELS]
    )
    monkeypatch.setattr(locating, "_listed", lambda *_: [NODES[1], NODES[0]])
    named = {f"REDIS_SENTINEL_HOST_{n}": s.host for n, s in enumerate(SENTINELS, 1)}
    ports = {f"REDIS_SENTINEL_PORT_{n}": str(s.port) for n, s in enumerate(SENTINELS, 1)}
    user = {"REDIS_OPERATOR_USERNAME": "operator", "REDIS_OPERATOR_PASSWORD": "secret"}
    return {**named, **ports, **user, "REDIS_TLS_CA": str(ca)}


def nodes_of(*addresses: Address) -> dict[str, str]:
    """Give the settings that name data nodes redis-1.. in this order."""
    return {
        f"REDIS_NODE_{what}_{number}": value
        for number, node in enumerate(addresses, 1)
        for what, value in (
            ("NAME", f"redis-{number}"), ("HOST", node.host), ("PORT", str(node.port))
        )
    }  # fmt: skip


@pytest.fixture
def silence(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no sentinel answer."""
    views = [SentinelView(s, problem="Connection refused") for s in SENTINELS]
    monkeypatch.setattr(locating, "ask_sentinels", lambda _: views)
    monkeypatch.setattr(locating, "_listed", lambda *_: [])


def test_whom_everybody_asks_first_is_known_without_the_nodes_in_the_settings(
    environ: dict[str, str],
) -> None:
    site = find_site(None, environ)
    assert [node.name for node in site.data_nodes] == ["redis-1", "redis-2", "redis-3"]
    assert site.operator.data_nodes == tuple(NODES)


def test_the_settings_numbers_go_before_what_sentinels_list(environ: dict[str, str]) -> None:
    site = find_site(None, environ | nodes_of(NODES[2], NODES[0]))
    assert site.operator.data_nodes == (NODES[2], NODES[0])
    assert len(site.data_nodes) == 3


@pytest.mark.usefixtures("silence")
def test_nodes_that_the_settings_name_are_known_though_no_sentinel_answers(
    environ: dict[str, str],
) -> None:
    site = find_site(None, environ | nodes_of(*NODES))
    assert [(node.name, node.address) for node in site.data_nodes] == [
        (f"redis-{number}", node) for number, node in enumerate(NODES, 1)
    ]
    assert site.complete
    assert site.operator.data_nodes == tuple(NODES)
    with pytest.raises(Unreachable, match="no sentinel answers: nobody listens there"):
        find_site(None, environ)


@pytest.mark.usefixtures("silence")
def test_the_settings_are_written_though_no_sentinel_answers(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert execute(["env"]) == 0
    assert "export REDIS_SENTINEL_HOST_1=10.0.0.21\n" in capsys.readouterr().out
    assert execute(["env", "--json", "-o", "written.env"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["written"] == "written.env"
    assert written["settings"] == len(Path("written.env").read_text().splitlines())


MISSING = {
    "REDIS_TLS_CA": "REDIS_TLS_CA",
    "REDIS_OPERATOR_USERNAME": "REDIS_OPERATOR_USERNAME",
    "REDIS_OPERATOR_PASSWORD": "REDIS_OPERATOR_PASSWORD",
    "REDIS_SENTINEL_HOST_": "REDIS_SENTINEL_HOST_1",
    "REDIS_OPERATOR_": "REDIS_OPERATOR_USERNAME, REDIS_OPERATOR_PASSWORD",
}


@pytest.mark.parametrize(("prefix", "names"), MISSING.items())
def test_what_is_not_set_is_named(environ: dict[str, str], prefix: str, names: str) -> None:
    left = {name: value for name, value in environ.items() if not name.startswith(prefix)}
    with pytest.raises(BadSetting) as caught:
        find_unasked(None, left)
    assert caught.value.cause == f"neither the environment nor .env.redis-ha sets {names}"


def test_one_sentinel_of_any_number_is_enough(environ: dict[str, str]) -> None:
    del environ["REDIS_SENTINEL_HOST_1"]
    assert len(find_unasked(None, environ).sentinels) == 2


@pytest.mark.parametrize("what", ["a text", "a key", "nothing", "no file", "a folder"])
def test_a_ca_that_holds_no_certificate_is_said_once(
    environ: dict[str, str], tmp_path: Path, what: str
) -> None:
    ca = tmp_path / "other.crt"
    if what == "a key":
        both = (tmp_path / "both.pem").read_text()
        ca.write_text(both[: both.index("-----BEGIN CERTIFICATE")])
    elif what == "a folder":
        ca.mkdir()
    elif what != "no file":
        ca.write_text("a text\n" if what == "a text" else "")
    said = "is no file" if what in ("no file", "a folder") else "holds no certificate"
    with pytest.raises(BadSetting, match=f"REDIS_TLS_CA: {ca} {said}"):
        find_site(None, environ | {"REDIS_TLS_CA": str(ca)})


def test_a_ca_that_may_not_be_read_is_said(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_ca: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(locating, "tls_context", refuse)
    with pytest.raises(BadSetting, match=r"ca\.crt can't be read: Permission denied"):
        find_site(None, environ)
