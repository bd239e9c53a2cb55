"""A process beside a switchover that ends it in order when the operator's process dies.

Killed between the pause and the demotion, the operator would leave the old master paused for as
long as its pause lasts (up to 40 s): Sentinel's PUBLISH blocks there, so it takes the node for
down and doesn't demote it. The guard sees its standard input end, waits until a promotion has come
or can't come any more, and does what is left to do. It is started before anything is touched and
is told what to put back before that is changed. Were it killed too, every leftover would end by
itself: pauses expire, and a lowered priority keeps no failover from happening.
"""

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import redis

from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access, ask_node, ask_nodes, ask_sentinels
from redis_ha.errors import SwitchoverRefused
from redis_ha.preference import Preference, restore
from redis_ha.switchover_rules import Healing, heal

_READY, _DONE = "ready", "done"
_START_SECONDS = 10.0
_HEAL_SECONDS = 90.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Guard:
    """The operator's end of the guard; lines of JSON, then `done` or nothing more."""

    process: subprocess.Popen[str]

    def promise(self, preference: Preference) -> None:
        """Tell it of a priority that is about to be changed and is to be put back."""
        self._send(json.dumps(asdict(preference)))

    def dismiss(self) -> None:
        """Tell it that all is done, and see it go."""
        self._send(_DONE)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_START_SECONDS)

    def leave(self) -> None:
        """Leave the rest to it, if it has not been dismissed, without waiting."""
        with suppress(OSError):
            _stdin(self.process).close()
        if self.process.returncode is None:
            # It is meant to outlive this process, of which Popen would warn at the end.
            self.process.returncode = 0

    def _send(self, line: str) -> None:
        # A guard that was killed is missed only if this process is killed as well.
        with suppress(OSError):
            _stdin(self.process).write(line + "\n")
            _stdin(self.process).flush()


@contextmanager
def guarded(access: Access, *, old: Address, others: tuple[Address, ...]) -> Iterator[Guard]:
    """Have a guard for the block; it is dismissed unless the block ends by an unforeseen error.

    `old` is the master that shall hand over. Raises SwitchoverRefused when it doesn't start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "redis_ha.switchover_guard"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # ^C and the end of the terminal are not meant for it.
        start_new_session=True,
    )
    guard = Guard(process)
    try:
        _introduce(process, access, (old, *others))
        yield guard
    except SwitchoverRefused:
        guard.dismiss()
        raise
    else:
        guard.dismiss()
    finally:
        guard.leave()
        _stdout(process).close()


def _introduce(process: subprocess.Popen[str], access: Access, nodes: tuple[Address, ...]) -> None:
    try:
        _stdin(process).write(_encode(access, nodes) + "\n")
        _stdin(process).flush()
        ready, _, _ = select.select([_stdout(process)], [], [], _START_SECONDS)
        if ready and _stdout(process).readline().strip() == _READY:
            return
    except OSError:
        pass
    process.kill()
    raise SwitchoverRefused(
        operation="start",
        subject="the guard of the switchover",
        cause=f"{sys.executable} -m redis_ha.switchover_guard did not get ready",
        hint="nothing was changed; run it by hand to see why",
    )


def _encode(access: Access, nodes: tuple[Address, ...]) -> str:
    return json.dumps(
        {
            "sentinels": [asdict(address) for address in access.sentinels],
            "nodes": [asdict(address) for address in nodes],
            "master_name": access.master_name,
            "username": access.credentials.username,
            "password": access.credentials.password,
            "ca": str(access.ca),
            "host_override": access.host_override,
        }
    )


def _decode(line: str) -> tuple[Access, tuple[Address, ...]]:
    fields = json.loads(line)
    access = Access(
        sentinels=tuple(Address(**address) for address in fields["sentinels"]),
        master_name=fields["master_name"],
        credentials=Credentials(fields["username"], fields["password"]),
        ca=Path(fields["ca"]),
        # A node that is silent must not hold up the others.
        timeout=1.0,
        host_override=fields["host_override"],
    )
    return access, tuple(Address(**address) for address in fields["nodes"])


def main() -> None:
    """Be the guard: read what is at stake, wait for `done`, else end the switchover in order."""
    access, nodes = _decode(sys.stdin.readline())
    sys.stdout.write(_READY + "\n")
    sys.stdout.flush()
    promised: Preference | None = None
    for line in sys.stdin:
        if line.strip() == _DONE:
            return
        fields = json.loads(line)
        promised = Preference(Address(**fields["node"]), fields["before"], fields["during"])
    finish(access, nodes[0], nodes[1:])
    if promised is not None:
        restore(access, promised)


def finish(
    access: Access,
    old: Address,
    others: tuple[Address, ...],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Healing:
    """End an interrupted switchover; return what was done, `wait` when it could not be told."""
    until = clock() + _HEAL_SECONDS
    quiet_since = clock()
    while clock() < until:
        sentinels = ask_sentinels(access)
        if any(view.failing_over for view in sentinels):
            quiet_since = clock()
        healing = heal(
            ask_node(access, old),
            ask_nodes(access, others),
            sentinels,
            quiet=clock() - quiet_since,
        )
        if healing.step != "wait" and _apply(access, old, healing):
            return healing
        sleep(_POLL_SECONDS)
    return Healing("wait")


def _apply(access: Access, old: Address, healing: Healing) -> bool:
    try:
        with access.connect(old) as client:
            if healing.new is not None:
                _command(client, "REPLICAOF", healing.new.host, healing.new.port)
                _command(client, "CONFIG", "REWRITE")
            _command(client, "CLIENT", "UNPAUSE")
    except (redis.RedisError, OSError):
        return False
    return True


def _command(client: Any, *words: object) -> None:
    client.execute_command(*words)


def _stdin(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None  # noqa: S101 - opened as a pipe
    return process.stdin


def _stdout(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None  # noqa: S101
    return process.stdout


if __name__ == "__main__":
    main()
