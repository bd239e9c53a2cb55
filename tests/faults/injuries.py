"""The faults: what each does to the processes it is given, and how it ends."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import redis

from tests.faults import disks
from tests.faults.fault import Fault, Kind
from tests.faults.lan import Deafness
from tests.faults.world import World
from tests.processes.cluster import Process

Undo = Callable[[], object]
LOSS_PERCENT = 30
# A link that the writes fill, so that they wait in its queue.
KILOBITS, QUEUE_MS = 300, 1500
SYNC_LONGER = 3.0
# More than any certificate's or election's patience; Sentinel tilts at two seconds.
CLOCK_JUMP = 3600
# What a node may take (s) to start its server: it asks the sentinels first.
_STARTS_WITHIN = 20.0
_MEMORY = Path("/sys/fs/cgroup/memory")
_MEMORY_BYTES = 1 << 15


def begin(world: World, fault: Fault, hurt: list[Process]) -> Undo:
    """Hurt whoever is meant; return what ends it."""
    if fault.kind == "rolling":
        return _rolling(world)
    if fault.kind == "stuck disk":
        return _stuck_disk(fault.seconds, hurt)
    undo = [_KINDS[fault.kind](world, process) for process in hurt]
    return lambda: [end() for end in undo]


def _crash(world: World, process: Process) -> Undo:
    # What waits for a disk that stands still ends once that goes on.
    with suppress(subprocess.TimeoutExpired):
        if process.running:
            process.kill()
    return lambda: world.start(process)


def _oom(world: World, process: Process) -> Undo:
    """Let the kernel end it for want of memory; where that can't be set up, as it would."""
    group = _MEMORY / f"{world.lan.switch}-{process.name}"
    if process.running:
        with suppress(OSError, subprocess.TimeoutExpired):
            _starve(process, group)
    end = _crash(world, process)

    def back() -> None:
        with suppress(OSError):
            group.rmdir()
        end()

    return back


def _starve(process: Process, group: Path) -> None:
    """Move its server to where it gets no more memory, and wait until it dies of that."""
    group.mkdir(exist_ok=True)
    (group / "memory.limit_in_bytes").write_text(str(_MEMORY_BYTES))
    (group / "cgroup.procs").write_text(str(process.server_pid))
    process.wait(4)


def _stop(world: World, process: Process) -> Undo:
    # Another fault may have started it anew by the time this one ends.
    stopped = process.process if process.running else None
    if stopped is not None:
        stopped.send_signal(signal.SIGTERM)

    def back() -> None:
        if stopped is not None:
            stopped.wait(30.0)
        world.start(process)

    return back


def _rolling(world: World) -> Undo:
    """Stop and start one data node after the other, each in sync before the next.

    One that another fault has ended is awaited.
    """
    stopped, rolled = threading.Event(), []

    def roll() -> None:
        for node in world.cluster.data_nodes:
            while not node.running and not stopped.wait(0.1):
                pass
            if stopped.is_set():
                return
            rolled.append(node.name)
            with suppress(subprocess.TimeoutExpired):  # another fault may hit it meanwhile
                node.stop()
            world.start(node)
            with suppress(AssertionError):
                world.cluster.wait_until_healthy(30.0)

    thread = threading.Thread(target=roll, daemon=True)
    thread.start()

    def end() -> None:
        stopped.set()
        thread.join(90)
        assert rolled, "nobody was running who could be stopped"

    return end


def _server_of(process: Process) -> int | None:
    """Return the server's pid, which a supervisor that was just started has soon; None if dead."""
    deadline = time.monotonic() + _STARTS_WITHIN
    while process.running and time.monotonic() < deadline:
        if (pid := process.server_pid) is not None:
            return pid
        time.sleep(0.05)
    return None


def _hang(world: World, process: Process) -> Undo:
    pid = _server_of(process)
    if pid is not None:
        os.kill(pid, signal.SIGSTOP)

    def resume() -> None:
        with suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, signal.SIGCONT)

    return resume


def _isolate(world: World, process: Process) -> Undo:
    return _deafen(world, *_inward(world, process), *_outward(world, process))


def _deaf(world: World, process: Process) -> Undo:
    """It hears nobody; what it says arrives."""
    return _deafen(world, *_inward(world, process))


def _dumb(world: World, process: Process) -> Undo:
    """Nobody hears it; it hears all."""
    return _deafen(world, *_outward(world, process))


def _loss(world: World, process: Process) -> Undo:
    inward = _inward(world, process, LOSS_PERCENT)
    return _deafen(world, *inward, *_outward(world, process, LOSS_PERCENT))


def _inward(world: World, process: Process, percent: int = 100) -> list[Deafness]:
    others = set(world.lan.hosts) - {process.name}
    return [Deafness(process.name, other, percent) for other in sorted(others)]


def _outward(world: World, process: Process, percent: int = 100) -> list[Deafness]:
    others = set(world.lan.hosts) - {process.name}
    return [Deafness(other, process.name, percent) for other in sorted(others)]


def _deafen(world: World, *deafness: Deafness) -> Undo:
    world.lan.deafen(*deafness)
    return lambda: world.lan.hear(*deafness)


def _slow_network(world: World, process: Process) -> Undo:
    world.lan.narrow(process.name, KILOBITS, queue_ms=QUEUE_MS)
    return lambda: world.lan.widen(process.name)


def _empty(world: World, process: Process) -> Undo:
    """Crash it and take its disk: it comes back with nothing."""
    _crash(world, process)
    if not process.running:
        process.erase_disk()
    return lambda: world.start(process)


def _stale(world: World, process: Process) -> Undo:
    """It comes back with the disk that it had before the last writes."""
    kept = disks.copy_of(process)
    _crash(world, process)

    def back() -> None:
        if not process.running:
            disks.put_back(process, kept)
            world.start(process)

    return back


def _full_disk(world: World, process: Process) -> Undo:
    ballast = disks.fill(process)
    return lambda: ballast.unlink(missing_ok=True)


def _slow_disk(world: World, process: Process) -> Undo:
    """Each sync of a file takes seconds."""
    shim = world.shims[process.name]
    shim.put(clock_off=shim.clock_off, sync_longer=SYNC_LONGER)
    return lambda: shim.put(clock_off=shim.clock_off)


def _stuck_disk(seconds: float, hurt: list[Process]) -> Undo:
    for process in hurt:
        disks.freeze(process, seconds)

    def end() -> None:
        for process in hurt:
            disks.thaw(process)

    return end


def _clock_ahead(world: World, process: Process) -> Undo:
    return _clock(world, process, CLOCK_JUMP)


def _clock_behind(world: World, process: Process) -> Undo:
    return _clock(world, process, -CLOCK_JUMP)


def _clock(world: World, process: Process, seconds: int) -> Undo:
    """Put its clock wrong; to end it is a second jump."""
    shim = world.shims[process.name]
    shim.put(clock_off=seconds, sync_longer=shim.sync_longer)
    return lambda: shim.put(sync_longer=shim.sync_longer)


def _misled(world: World, process: Process) -> Undo:
    """Somebody makes it a replica of nobody; the sentinels have to put that right."""
    with suppress(redis.RedisError, OSError), process.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
    return lambda: None


_KINDS: Mapping[Kind, Callable[[World, Process], Undo]] = {
    "crash": _crash,
    "oom": _oom,
    "hang": _hang,
    "stop": _stop,
    "isolate": _isolate,
    "deaf": _deaf,
    "dumb": _dumb,
    "loss": _loss,
    "slow network": _slow_network,
    "empty": _empty,
    "stale": _stale,
    "full disk": _full_disk,
    "slow disk": _slow_disk,
    "clock ahead": _clock_ahead,
    "clock behind": _clock_behind,
    "misled": _misled,
}
