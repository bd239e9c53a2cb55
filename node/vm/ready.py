"""The gate of a rolling change: `python -m node.vm.ready` ends with 0 once the next machine may go.

A machine is ready when its data node and its sentinel are healthy. While the cluster is being
made, the first machines can't be: a data node waits for a majority of the sentinels, and most of
those aren't made yet. So a machine whose volume was empty is also done when no majority answers.
"""

import sys
import time
from dataclasses import dataclass

from node.errors import NodeError
from node.settings import NodeSettings, load_settings
from node.vm.boot import BOOTED, FRESH_VOLUME
from node.vm.layout import CONFIG
from redis_ha.discovery import ask_sentinels

_PATIENCE_SECONDS = 900.0
_LOOK_AGAIN_SECONDS = 1.0
_OLD_SECONDS = 10.0
_ROLES = ("data", "sentinel")


@dataclass(frozen=True)
class Machine:
    """What is known of this machine: each role's word on its health, and who else answers."""

    health: dict[str, str]
    fresh_volume: bool
    sentinels: int
    answering: int


@dataclass(frozen=True)
class Verdict:
    """Whether the next machine may be touched, and why or why not."""

    ready: bool
    reason: str


def judge(machine: Machine) -> Verdict:
    """Say whether this machine is ready."""
    ill = [f"{role}: {text}" for role, text in machine.health.items() if not text.startswith("ok ")]
    if not ill:
        return Verdict(True, "; ".join(machine.health.values()))
    if machine.fresh_volume and machine.answering <= machine.sentinels // 2:
        return Verdict(True, f"a new cluster: {machine.answering} of {machine.sentinels} sentinels")
    return Verdict(False, "; ".join(ill))


def main() -> int:
    """Poll until the machine is ready (0) or the patience is over (1); say why in one line."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        verdict = _look()
        late = time.monotonic() > deadline
        if verdict.ready or late:
            sys.stdout.write(verdict.reason + "\n")
            return 0 if verdict.ready else 1
        time.sleep(_LOOK_AGAIN_SECONDS)


def _look() -> Verdict:
    if not BOOTED.exists():
        return Verdict(False, "the boot isn't over: see `journalctl -u redis-ha-boot`")
    try:
        settings = {role: load_settings(CONFIG / role / "node.json") for role in _ROLES}
    except NodeError as error:
        return Verdict(False, str(error))
    views = ask_sentinels(settings["data"].access)
    return judge(
        Machine(
            health={role: _word(each) for role, each in settings.items()},
            fresh_volume=FRESH_VOLUME.exists(),
            sentinels=len(views),
            answering=sum(not view.problem for view in views),
        )
    )


def _word(settings: NodeSettings) -> str:
    """Read a role's last word; an old one is none."""
    path = settings.health_file
    try:
        age = time.time() - path.stat().st_mtime
        return path.read_text().strip() if age <= _OLD_SECONDS else f"no news for {age:.0f} s"
    except OSError:
        return "it has not begun"


if __name__ == "__main__":
    sys.exit(main())
