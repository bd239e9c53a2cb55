"""One cluster after the other: the next one once a scenario has failed on the last."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from tests.faults.scenario import Outcome, Scenario, play
from tests.faults.world import World


@dataclass
class Worlds:
    """Plays scenarios on a cluster that is whole; what is left of one that isn't stays on disk."""

    _stack: ExitStack = field(default_factory=ExitStack)
    _world: World | None = None

    @classmethod
    @contextmanager
    def one_by_one(cls) -> Iterator["Worlds"]:
        """Have clusters for the block."""
        worlds = cls()
        try:
            yield worlds
        finally:
            worlds.leave(keep=False)

    def play(self, scenario: Scenario) -> Outcome | str:
        """Play a scenario; return why not when this machine can't do one of its faults."""
        try:
            world = self.current()
        except (AssertionError, redis.RedisError, OSError) as error:
            self.leave(keep=True)
            return Outcome(scenario, troubles=[f"there is no cluster to hurt: {error}"])
        for fault in scenario.faults:
            if fault.kind in world.lacks:
                return world.lacks[fault.kind]
        outcome = play(world, scenario)
        if outcome.troubles:
            outcome.troubles.append(f"logs in {world.directory}")
            self.leave(keep=True)
        return outcome

    def leave(self, *, keep: bool) -> None:
        """End the cluster, if there is one."""
        world, self._world = self._world, None
        self._stack.pop_all().close()
        if world is not None and not keep:
            shutil.rmtree(world.directory, ignore_errors=True)

    def current(self) -> World:
        """Return a cluster that is whole; a new one where there is none."""
        if self._world is None:
            directory = Path(tempfile.mkdtemp(prefix="redis-ha-faults-"))
            self._world = self._stack.enter_context(World.made(directory))
        return self._world
