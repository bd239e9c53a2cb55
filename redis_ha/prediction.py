"""What each fault will cost with the settings that are live. Pure.

The constants are those of the planner, measured on stock Redis 7.0.15 and 8.0.2 with three data
nodes and three sentinels; a stack's own output `plan` is preferred where there is one.
"""

from collections.abc import Mapping
from typing import Any

from redis_ha.survey import Survey

# With the witness, whatever down-after is: the same two kinds of client.
WITNESSED = (0.4, 1.6)
# Seconds from down-after to a new master: for clients that poll ROLE, for those that ask Sentinel.
ROLE_POLLING, ELECTION = 0.4, 1.3
# Where an address falls silent Sentinel counts down-after from its next PING, a second later.
SILENCE_EXTRA = 1.2
# A hung master took up to so much longer than a killed one.
HANG_EXTRA = 2.3
# Gap of a zero-loss switchover, for the two kinds of client.
SWITCHOVER = (0.17, 1.4)
# An isolated master stopped accepting writes 2.3-2.9 s after with max-lag 2, 5.3-6 with 5, 4.6 with
# 3. Redis counts whole seconds, once a second: two more than max-lag at most (replication.c).
FENCING_EXTRA = 2.0
_ON_DISK = {"always": "none", "everysec": "1 s of writes", "no": "some 30 s of writes"}


def predict(survey: Survey) -> list[dict[str, str]]:
    """Return for each fault its outage, its loss and the formula; empty when nobody answers."""
    if not survey.answering or survey.leader is None:
        return []
    config = survey.leader.config
    down_after = max(sentinel.view.down_after for sentinel in survey.answering)
    crash = (down_after + ROLE_POLLING, down_after + ELECTION)
    lost = "writes not yet replicated (usually none)"
    silent = (crash[0], crash[1] + SILENCE_EXTRA)
    formula = "down-after + 0.4 s by ROLE, + 1.3 s by Sentinel"
    by_silence = f"{formula}, up to 1.2 s more"
    crashes = [_fault("crash", crash, lost, basis=f"{formula}; for a silent address 1.2 s more")]
    if survey.witnessed:
        crashes = [
            _fault("crash", WITNESSED, lost, basis="the witnesses see the closed connection"),
            _fault("crash unseen", silent, lost, basis=f"a host that vanishes: {by_silence}"),
        ]
    return [
        *crashes,
        _fault("hang", (crash[0], crash[1] + HANG_EXTRA), lost, basis="a crash, up to 2.3 s more"),
        _fault("partition", silent, _isolated(config), basis="fencing within max-lag + 2 s"),
        _fault("switchover", SWITCHOVER, "none", basis="paused until the replicas hold all"),
        {
            "fault": "host loss",
            "outage": "until the host is back, if it holds all nodes",
            "loss": _on_disk(config),
            "basis": "appendfsync, else the newest snapshot elsewhere",
        },
    ]


def _fault(name: str, outage: tuple[float, float], loss: str, *, basis: str) -> dict[str, str]:
    text = f"{outage[0]:.1f}-{outage[1]:.1f} s"
    return {"fault": name, "outage": text, "loss": loss, "basis": basis}


def _isolated(config: Mapping[str, Any]) -> str:
    if not int(config.get("min-replicas-to-write", 0)):
        return "all that the isolated master accepts until it is back"
    fenced = int(config.get("min-replicas-max-lag", 10)) + FENCING_EXTRA
    return f"what the isolated master accepts in {fenced:.0f} s"


def _on_disk(config: Mapping[str, Any]) -> str:
    if config.get("appendonly") != "yes":
        return "all since the last RDB save"
    return _ON_DISK.get(str(config.get("appendfsync")), "not known")
