"""What is known of a cluster that the settings name by its sentinels only."""

from pathlib import Path

import pytest

from redis_ha import locating
from redis_ha.connection import Address
from redis_ha.discovery import SentinelView
from redis_ha.locating import find_site

SENTINELS = [Address(f"10.0.0.2{n}", 26379) for n in (1, 2, 3)]
NODES = [Address(f"10.0.0.1{n}", 6379) for n in (1, 2, 3)]


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ca.crt").touch()
    monkeypatch.setattr(
        locating, "ask_sentinels", lambda _: [SentinelView(s, NODES[2]) for s in SENTINELS]
    )
    monkeypatch.setattr(locating, "_listed", lambda *_: [NODES[1], NODES[0]])
    named = {f"REDIS_SENTINEL_HOST_{n}": s.host for n, s in enumerate(SENTINELS, 1)}
    ports = {f"REDIS_SENTINEL_PORT_{n}": str(s.port) for n, s in enumerate(SENTINELS, 1)}
    user = {"REDIS_OPERATOR_USERNAME": "operator", "REDIS_OPERATOR_PASSWORD": "secret"}
    return {**named, **ports, **user, "REDIS_TLS_CA": str(tmp_path / "ca.crt")}


def test_whom_everybody_asks_first_is_known_without_the_nodes_in_the_settings(
    environ: dict[str, str],
) -> None:
    site = find_site(None, environ)
    assert [node.name for node in site.data_nodes] == ["redis-1", "redis-2", "redis-3"]
    assert site.operator.data_nodes == tuple(NODES)


def test_the_settings_numbers_go_before_what_sentinels_list(environ: dict[str, str]) -> None:
    for number, node in enumerate((NODES[2], NODES[0]), 1):
        environ |= {
            f"REDIS_NODE_NAME_{number}": f"redis-{number}",
            f"REDIS_NODE_HOST_{number}": node.host,
            f"REDIS_NODE_PORT_{number}": str(node.port),
        }
    site = find_site(None, environ)
    assert site.operator.data_nodes == (NODES[2], NODES[0])
    assert len(site.data_nodes) == 3
