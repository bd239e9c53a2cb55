"""What a run has done to the cluster, on disk before it is done, so that a later run can undo it.

The file is locked while a run lives; one that was killed leaves it behind, unlocked.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from redis_ha.discovery import Access
from redis_ha.errors import HarmRefused
from redis_ha.failover_test.hands import Injury
from redis_ha.upkeep.place import cluster_file


@dataclass(frozen=True)
class Debts:
    """What is still to be put right: injuries to heal, keys to delete."""

    injuries: tuple[Injury, ...] = ()
    keys: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.injuries or self.keys)


@dataclass
class Journal:
    """The debts of one cluster, of which one run at a time may make new ones."""

    path: Path
    debts: Debts = field(default_factory=Debts)

    def owe(self, *injuries: Injury, keys: tuple[str, ...] = ()) -> None:
        """Note, on disk, what is about to be done."""
        self._write(Debts((*self.debts.injuries, *injuries), (*self.debts.keys, *keys)))

    def settle(self, injury: Injury) -> None:
        """Note that an injury is healed."""
        left = tuple(one for one in self.debts.injuries if one != injury)
        self._write(Debts(left, self.debts.keys))

    def settle_keys(self) -> None:
        """Note that the keys are deleted."""
        self._write(Debts(self.debts.injuries))

    def pay(
        self, heal: Callable[[Injury], None], delete: Callable[[tuple[str, ...]], None]
    ) -> None:
        """Put everything right that is noted, the newest injury first."""
        for injury in reversed(self.debts.injuries):
            heal(injury)
            self.settle(injury)
        if self.debts.keys:
            delete(self.debts.keys)
            self.settle_keys()

    def _write(self, debts: Debts) -> None:
        self.debts = debts
        temporary = self.path.with_suffix(".new")
        with temporary.open("w") as file:
            json.dump({"injuries": list(map(asdict, debts.injuries)), "keys": debts.keys}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)


def journal_path(access: Access, environ: Mapping[str, str], *, home: Path) -> Path:
    """Say where the journal of a cluster is; each cluster has its own."""
    return cluster_file("failover-test", access, environ, home=home)


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """Hold the journal alone, with the debts that a killed run left; raises HarmRefused."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        _hold(lock, path)
        yield Journal(path, _read(path))


def _hold(lock: IO[str], path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise HarmRefused(
            operation="begin",
            subject="a failover test",
            cause="another one is hurting this cluster now",
            hint=f"wait for it to end (it holds {path})",
        ) from error


def _read(path: Path) -> Debts:
    if not path.is_file():
        return Debts()
    written = json.loads(path.read_text())
    return Debts(tuple(Injury(**injury) for injury in written["injuries"]), tuple(written["keys"]))
