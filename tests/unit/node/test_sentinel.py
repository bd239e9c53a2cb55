"""A sentinel's supervisor over hours of a made-up time; the sentinel itself is made up, too."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from node import sentinel
from node.settings import NodeSettings
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access

MASTER, OUTSIDE, SENTINEL = (Address("10.0.0.1", port) for port in (6379, 6400, 26379))


class Asked:
    """A sentinel that lists a follower from outside of the stack, whenever it is asked."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass

    def ping(self) -> None:
        pass

    def sentinel_slaves(self, _name: str) -> list[dict[str, Any]]:
        down = {"is_sdown": True, "is_disconnected": True}
        return [{"ip": OUTSIDE.host, "port": OUTSIDE.port, **down}]

    def sentinel_sentinels(self, _name: str) -> list[dict[str, Any]]:
        return []

    def execute_command(self, *_: str) -> dict[str, Any]:
        times = {"down-after-milliseconds": 5000, "failover-timeout": 9000, "config-epoch": 0}
        return {"ip": MASTER.host, "port": MASTER.port, "flags": "master", "num-slaves": 1} | times


class Started:
    """A server that ends as soon as it is told to."""

    def __init__(self, _command: list[str]) -> None:
        self.exit_code: int | None = None

    def send(self, _number: int) -> None:
        self.exit_code = 0


class Hours:
    """A clock that goes on whenever somebody waits, and asks to stop at the end."""

    def __init__(self, seconds: float) -> None:
        self.now, self.end = 0.0, seconds
        self.server = self.companion = None

    def time(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def stop_asked(self, seconds: float) -> bool:
        self.now += min(seconds, 1.0)
        return self.now >= self.end


def test_a_follower_from_outside_does_not_keep_the_sentinels_restarting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sentinel.conf").write_text("sentinel monitor mymaster 10.0.0.1 6379 1\n")
    settings = NodeSettings(
        name="sentinel-1",
        address=SENTINEL,
        master_name="mymaster",
        initial_master="redis-1",
        data_nodes=(MASTER,),
        sentinels=(SENTINEL,),
        credentials=Credentials("node", "secret"),
        ca=tmp_path / "ca.crt",
        **dict.fromkeys(("data_dir", "config_dir", "run_dir"), tmp_path),
    )
    hours = Hours(2.5 * 3600)
    clock = SimpleNamespace(time=hours.time, monotonic=hours.time)
    monkeypatch.setattr(Access, "connect", lambda *_, **__: Asked())
    monkeypatch.setattr(sentinel, "Server", Started)
    monkeypatch.setattr(sentinel, "Events", lambda: hours)
    monkeypatch.setattr(sentinel, "time", clock)
    assert sentinel.run_sentinel(settings) == 0
    told = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert told.count("forgetting") == 5
