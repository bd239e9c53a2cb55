"""Records of runs as a test needs them: the fault at 100 s, clients that write each 10 ms."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from redis_ha.failover_test.clients import OURS, STOCK
from redis_ha.failover_test.records import (
    BEGUN,
    DONE,
    HEALED,
    HEALING,
    HEALTHY,
    PROMOTED,
    ClientRecord,
    Fault,
    LostWrite,
    RunRecord,
    Sample,
    SentinelSample,
    WriterRecord,
)

FAULT, END = 100.0, 112.0


def times(begin: float, end: float, step: float = 0.01) -> list[float]:
    return [begin + n * step for n in range(int((end - begin) / step))]


def client(kind: str, *, back_after: float) -> ClientRecord:
    """A kind of client whose one writer is silent from the fault on, for `back_after` s."""
    moments = [*times(97, FAULT), *times(FAULT + back_after, END)]
    writer = WriterRecord(tuple(range(1, len(moments) + 1)), tuple(moments))
    return ClientRecord(kind, (writer,), reads=tuple(moments))


def samples(*parts: tuple[float, float, str]) -> tuple[Sample, ...]:
    """A node seen each 20 ms: (from, to, "master" | "refusing" | "replica" | "silent")."""
    roles: Mapping[str, str] = {"master": "master", "refusing": "master", "replica": "slave"}
    return tuple(
        Sample(at, roles.get(state), writable=state == "master")  # type: ignore[arg-type]
        for begin, end, state in parts
        for at in times(begin, end, 0.02)
    )


def crash(
    *, back_after: float = 2.2, lost: Sequence[LostWrite] = (), fault: Fault = "crash"
) -> RunRecord:
    """redis-1 dies, redis-2 is promoted after 2 s, redis-1 is back as a replica at 106 s."""
    return RunRecord(
        fault,
        "redis-1",
        marks={
            BEGUN: FAULT,
            DONE: FAULT + 0.1,
            PROMOTED: FAULT + 2.0,
            HEALING: 105.5,
            HEALED: 106.0,
            HEALTHY: 110.0,
        },
        clients=(client(OURS, back_after=back_after), client(STOCK, back_after=3.0)),
        nodes={
            "redis-1": samples(
                (97, FAULT, "master"), (FAULT, 106, "silent"), (106, END, "replica")
            ),
            "redis-2": samples((97, 102, "replica"), (102, END, "master")),
            "redis-3": samples((97, END, "replica")),
        },
        sentinels={
            f"sentinel-{n}": tuple(
                SentinelSample(at, "redis-1" if at < 103 else "redis-2", 4 if at < 103 else 5)
                for at in times(97, END, 0.1)
            )
            for n in (1, 2, 3)
        },
        lost=tuple(lost),
    )


def silenced() -> RunRecord:
    """A crash after which no client ever writes again."""
    run = crash()
    kinds = (client(kind, back_after=END - FAULT) for kind in (OURS, STOCK))
    return replace(run, clients=tuple(kinds))


def with_nodes(run: RunRecord, **nodes: tuple[Sample, ...]) -> RunRecord:
    """The same run with other samples: `redis_1=samples(...)`."""
    changed = {name.replace("_", "-"): seen for name, seen in nodes.items()}
    return replace(run, nodes={**run.nodes, **changed})
