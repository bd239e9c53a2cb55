"""The cluster that is hurt: its processes, the network between them, and who plays which part."""

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults import disks
from tests.faults.claims import claimed
from tests.faults.fault import Kind
from tests.faults.hosts import Shim, built
from tests.faults.lan import Host, Lan
from tests.faults.watching_worker import Backup
from tests.processes.cluster import Cluster, Place, Process
from tests.processes.redis_ha.witnessed import FENCED, settle

NAMES = tuple(f"{kind}-{number}" for kind in ("redis", "sentinel") for number in (1, 2, 3))
# What the promoted one says to it (replication.c, masterTryPartialResync).
_OVERTAKEN = "Requested offset for second ID was"


@dataclass
class World:
    """A living cluster on a network of its own; `parts` remembers who was meant by a part's name.

    Parts: master (when the first fault begins), promoted (whoever is master now), replica, other
    (the second replica), sentinel, sentinels (a majority), all sentinels, everything, and zone: the
    master with the sentinel of the same number and the worker. `lacks` says which faults this
    machine can't do, and why.
    """

    directory: Path
    cluster: Cluster
    lan: Lan
    shims: Mapping[str, Shim]
    lacks: Mapping[Kind, str]
    backup: Backup | None = None
    chance: random.Random = field(default_factory=random.Random)
    parts: dict[str, Process] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def made(
        cls, directory: Path, *, witness: bool = True, backup: bool = True
    ) -> Iterator["World"]:
        """Start the cluster for the block, watched by witnesses and backed up, or not."""
        directory.mkdir(exist_ok=True)
        with ExitStack() as stack:
            number = stack.enter_context(claimed(directory))
            lan = stack.enter_context(Lan.laid(NAMES, number=number))
            shims = _shims(directory, lan)
            settings = replace(
                FENCED,
                witness=witness,
                places={name: _place(host, shims.get(name)) for name, host in lan.hosts.items()},
                start_seconds=90.0,
                # The test asks for digests from its own place in the network.
                redis_lines=(*FENCED.redis_lines, "enable-debug-command yes"),
            )
            cluster = Cluster.prepare(directory / "cluster", settings)
            freezable = stack.enter_context(disks.small_disks(cluster.data_nodes))
            stack.callback(cluster.end)
            cluster.start_all()
            lacks = _lacks(shims=bool(shims), freezable=freezable)
            world = cls(directory, cluster, lan, shims, lacks)
            if backup:
                world.backup = stack.enter_context(Backup.running(directory, cluster))
            stack.callback(world.thaw)
            yield world

    def cast(self) -> None:
        """Say who plays which part from now on."""
        master = self.cluster.settled_master()
        replicas = [node for node in self.cluster.data_nodes if node is not master]
        self.chance.shuffle(replicas)
        sentinel = self.chance.choice(self.cluster.sentinels)
        names, players = ("replica", "other", "master", "sentinel"), [*replicas, master, sentinel]
        self.parts = dict(zip(names, players, strict=True))

    def meant(self, part: str) -> list[Process]:
        """Return the processes that a part's name means."""
        if part == "everything":
            return [*self.cluster.data_nodes, *self.cluster.sentinels]
        if part == "all sentinels":
            return list(self.cluster.sentinels)
        if part == "sentinels":
            return [s for s in self.cluster.sentinels if s is not self.parts["sentinel"]]
        if part == "zone":
            master = self.parts["master"]
            return [master, self.cluster.sentinels[self.cluster.data_nodes.index(master)]]
        if part == "promoted":
            return [self.cluster.wait_for_master(self.parts["master"], 30.0)]
        return [self.parts[part]]

    def start(self, process: Process) -> None:
        """Start a process unless it runs."""
        if not process.running:
            with suppress(AssertionError):  # who else mends it was first
                process.start()

    def overtaken(self) -> int:
        """Count how often a replica was ahead of the promoted one, and had to copy anew."""
        return sum(node.log.count(_OVERTAKEN) for node in self.cluster.data_nodes)

    def asked(self) -> int:
        """Count how often a witness has asked for a failover."""
        return sum(each.log.count("asking-for-failover") for each in self.cluster.sentinels)

    def thaw(self) -> None:
        """Let every disk be written to: what waits for one can't even be killed."""
        for node in self.cluster.data_nodes:
            disks.thaw(node)

    def mend(self) -> None:
        """Undo whatever a fault left: cuts, wrong clocks, and processes that don't run."""
        self.lan.heal()
        self.thaw()
        for shim in self.shims.values():
            shim.put()
        self.revive()

    def revive(self) -> None:
        """Start what doesn't run, as the restart policy does."""
        for process in self.meant("everything"):
            self.start(process)

    def settle(self, within: float) -> None:
        """Wait until all is as it was: one master, all in sync, every witness watching."""

        def healthy() -> bool:
            self.revive()
            return not self.cluster.complaints()

        self.cluster.wait_for(healthy, within, self.cluster.complaints)
        if self.cluster.settings.witness:
            settle(self.cluster)


def _place(host: Host, shim: Shim | None) -> Place:
    return Place(host.address, (*host.prefix, *(shim.prefix if shim else ())))


def _shims(directory: Path, lan: Lan) -> dict[str, Shim]:
    library = built(directory)
    if library is None:
        return {}
    return {name: Shim(library, directory / f"{name}.host") for name in lan.hosts}


def _lacks(*, shims: bool, freezable: bool) -> dict[Kind, str]:
    lacks: dict[Kind, str] = {}
    if not shims:
        lacks = dict.fromkeys(
            ("slow disk", "clock ahead", "clock behind"), "no C compiler for the shim"
        )
    if not freezable:
        lacks["stuck disk"] = "no loop devices for a disk that can be frozen"
    return lacks
