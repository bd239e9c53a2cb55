"""A process beside a switchover that ends it in order when the operator's process dies.

Killed between the pause and the demotion, the operator would leave an old master beside the new
one until Sentinel demotes it. The guard sees its standard input end, waits until a promotion has
come or can't come any more, and does what is left to do. It is started before anything is touched,
claims the old master for both (redis_ha.switchover_claim) and is told what to put back before that
is changed. Were it killed too, every leftover would end by itself: the claim with its process, the
pause seconds later, and a lowered priority keeps no failover from happening.
"""

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import redis

from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access, ask_node, ask_nodes, ask_sentinels
from redis_ha.errors import SwitchoverBusy, SwitchoverRefused
from redis_ha.preference import Preference, restore
from redis_ha.switchover_claim import Claim, claim, new_token
from redis_ha.switchover_rules import Healing, heal, outlasting_pause

_READY, _BEGUN, _DONE = "ready", "begun", "done"
_START_SECONDS = 10.0
_HEAL_SECONDS = 90.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Guard:
    """The operator's end of the guard; lines of JSON or a word, then `done` or nothing more."""

    process: subprocess.Popen[str]
    token: str

    def promise(self, preference: Preference) -> None:
        """Tell it of a priority that is about to be changed and is to be put back."""
        self.tell(json.dumps(asdict(preference)))

    def begin(self) -> None:
        """Tell it that writes will be paused from now on."""
        self.tell(_BEGUN)

    def dismiss(self) -> None:
        """Tell it that all is done, and see it go."""
        self.tell(_DONE)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_START_SECONDS)

    def leave(self) -> None:
        """Leave the rest to it, if it has not been dismissed, without waiting."""
        with suppress(OSError):
            _stdin(self.process).close()
        if self.process.returncode is None:
            # It is meant to outlive this process, of which Popen would warn at the end.
            self.process.returncode = 0

    def tell(self, line: str) -> None:
        """Send it one line."""
        # A guard that was killed is missed only if this process is killed as well.
        with suppress(OSError):
            _stdin(self.process).write(line + "\n")
            _stdin(self.process).flush()


@contextmanager
def guarded(access: Access, *, old: Address, others: tuple[Address, ...]) -> Iterator[Guard]:
    """Have a guard for the block; it is dismissed unless the block ends by an unforeseen error.

    `old` is the master that shall hand over. Raises SwitchoverRefused when somebody else does that
    already, and when the guard doesn't start.
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
    guard = Guard(process, new_token())
    try:
        _introduce(guard, access, (old, *others))
        yield guard
    except SwitchoverRefused:
        guard.dismiss()
        raise
    else:
        guard.dismiss()
    finally:
        guard.leave()
        _stdout(process).close()


def _introduce(guard: Guard, access: Access, nodes: tuple[Address, ...]) -> None:
    answer = ""
    with suppress(OSError):
        guard.tell(_encode(access, nodes, guard.token))
        ready, _, _ = select.select([_stdout(guard.process)], [], [], _START_SECONDS)
        answer = _stdout(guard.process).readline().strip() if ready else ""
    if answer == _READY:
        return
    if answer:
        raise SwitchoverRefused(**json.loads(answer))
    guard.process.kill()
    raise SwitchoverRefused(
        operation="start",
        subject="the guard of the switchover",
        cause=f"{sys.executable} -m redis_ha.switchover_guard did not get ready",
        hint="nothing was changed; run it by hand to see why",
    )


def _encode(access: Access, nodes: tuple[Address, ...], token: str) -> str:
    return json.dumps(
        {
            "token": token,
            "sentinels": [asdict(address) for address in access.sentinels],
            "nodes": [asdict(address) for address in nodes],
            "master_name": access.master_name,
            "username": access.credentials.username,
            "password": access.credentials.password,
            "ca": str(access.ca),
            "host_override": access.host_override,
        }
    )


def _decode(line: str) -> tuple[Access, tuple[Address, ...], str]:
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
    return access, tuple(Address(**address) for address in fields["nodes"]), fields["token"]


def main() -> None:
    """Be the guard: read what is at stake, wait for `done`, else end the switchover in order."""
    access, nodes, token = _decode(sys.stdin.readline())
    try:
        held = claim(access, nodes[0], token)
    except SwitchoverRefused as refusal:
        _answer(json.dumps(vars(refusal)))
        return
    _answer(_READY)
    begun, promised = False, None
    for line in sys.stdin:
        word = line.strip()
        if word == _DONE:
            return
        if word == _BEGUN:
            begun = True
        else:
            fields = json.loads(line)
            promised = Preference(Address(**fields["node"]), fields["before"], fields["during"])
    if begun:
        finish(Interrupted(access, nodes[0], nodes[1:], token), held)
    if promised is not None:
        restore(access, promised)


def _answer(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Interrupted:
    """A switchover whose operator is gone: its old master, the other nodes, its claim's token."""

    access: Access
    old: Address
    others: tuple[Address, ...]
    token: str


def finish(
    work: Interrupted,
    held: Claim,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Healing:
    """End an interrupted switchover; return what was done, `wait` when it could not be told.

    When the claim breaks and somebody else has one by then, all the rest is theirs.
    """
    until = clock() + _HEAL_SECONDS
    quiet_since = clock()
    while clock() < until:
        try:
            with closing(held):
                _hold(work, held)
                return _heal(work, held, quiet_since, until=until, clock=clock, sleep=sleep)
        except (redis.RedisError, OSError):
            sleep(_POLL_SECONDS)
        try:
            held = claim(work.access, work.old, work.token)
        except SwitchoverBusy:
            break
        except SwitchoverRefused:
            continue
    return Healing("wait")


def _hold(work: Interrupted, held: Claim) -> None:
    """Go on with the pause that the operator renewed."""
    view = ask_node(work.access, work.old)
    if view.role == "master":
        held.hold(outlasting_pause(view, 0.0))


def _heal(
    work: Interrupted,
    held: Claim,
    quiet_since: float,
    *,
    until: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Healing:
    while clock() < until:
        sentinels = ask_sentinels(work.access)
        if any(view.failing_over for view in sentinels):
            quiet_since = clock()
        healing = heal(
            ask_node(work.access, work.old),
            ask_nodes(work.access, work.others),
            sentinels,
            quiet=clock() - quiet_since,
        )
        if healing.step != "wait":
            _apply(held, healing)
            return healing
        sleep(_POLL_SECONDS)
    return Healing("wait")


def _apply(held: Claim, healing: Healing) -> None:
    if healing.new is not None:
        held.command("REPLICAOF", healing.new.host, healing.new.port)
        held.command("CONFIG", "REWRITE")
    held.release()


def _stdin(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None  # noqa: S101 - opened as a pipe
    return process.stdin


def _stdout(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None  # noqa: S101
    return process.stdout


if __name__ == "__main__":
    main()
