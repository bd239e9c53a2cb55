"""How `redis-ha monitor` ends: what was seen is summed up, whoever ends it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from redis_ha.cli import monitor
from redis_ha.cli.main import Terminated, execute

Said = pytest.CaptureFixture[str]
TICK = {"at": "-", "health": "degraded", "master": "redis-1", "p99_ms": 1.5, "reason": "-"}


@pytest.fixture
def ended_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, type[BaseException]], None]:
    """Have the command be ended by a signal after so many looks."""
    monkeypatch.setattr(monitor, "the_site", lambda _stack: None)

    def end(looks: int, by: type[BaseException]) -> None:
        left = iter([TICK] * looks)

        def tick(_site: Any) -> dict[str, Any]:
            for look in left:
                return look
            raise by

        monkeypatch.setattr(monitor, "_tick", tick)

    return end


@pytest.mark.parametrize(("by", "code"), [(KeyboardInterrupt, 1), (Terminated, 143)])
def test_a_signal_brings_the_summary_on(
    ended_after: Callable[..., None], by: type[BaseException], code: int, capsys: Said
) -> None:
    ended_after(2, by)
    assert execute(["monitor", "--json", "--interval", "0.1"]) == code
    *looks, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert looks == [TICK] * 2
    assert (summary["summary"], summary["ticks"], summary["degraded"]) == (True, 2, 2)


@pytest.mark.parametrize(("by", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_nothing_seen_is_not_all_well(
    ended_after: Callable[..., None], by: type[BaseException], code: int, capsys: Said
) -> None:
    ended_after(0, by)
    assert execute(["monitor", "--json"]) == code
    assert capsys.readouterr().out == ""
