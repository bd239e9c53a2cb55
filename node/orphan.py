"""A replica whose master died follows the sibling that was promoted, before anybody tells it to.

With min-replicas-to-write a new master takes no write before a replica follows it, and Sentinel
sends the others there only at its next look, up to a second later (sentinel.c: a failover's INFO
period). That second is the cluster's outage.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

from redis_ha.connection import Address
from redis_ha.discovery import Access, NodeView, ask_nodes
from redis_ha.kept import keeping

LOOK_SECONDS = 0.05
# Who has no heir by then is not helped by looking so often.
_EAGER_SECONDS = 30.0


def is_orphan(view: NodeView) -> bool:
    """Say whether a node followed a master in this process's life and lost its connection."""
    return view.promotable and not view.link_up


def find_heir(mine: NodeView, siblings: Sequence[NodeView]) -> Address | None:
    """Return the master that was promoted out of my own history and has all that I have.

    Only then does following it cost nothing: the stream goes on. Whatever else says that it is a
    master, e.g. the old one that is back, is left to Sentinel.
    """
    heirs = [
        view.address
        for view in siblings
        if view.role == "master"
        and view.address != mine.master
        and view.replid2 == mine.replid
        and mine.offset < view.second_offset
    ]
    return heirs[0] if len(heirs) == 1 else None


@dataclass
class Search:
    """Looks for the heir for as long as the node is an orphan; connections stay open meanwhile."""

    clock: Callable[[], float] = time.monotonic
    _since: float | None = None
    _kept: Access | None = None
    _open: ExitStack = field(default_factory=ExitStack)

    def look(self, mine: NodeView, access: Access, peers: Sequence[Address]) -> Address | None:
        """Ask the peers; None when there is no heir yet."""
        if self._kept is None:
            self._since = self.clock()
            holder: AbstractContextManager[Access] = keeping(access)
            self._kept = self._open.enter_context(holder)
        siblings = [peer for peer in peers if peer != mine.master]
        return find_heir(mine, ask_nodes(self._kept, siblings))

    @property
    def eager(self) -> bool:
        """Whether the next look should come soon."""
        return self._since is not None and self.clock() - self._since < _EAGER_SECONDS

    def end(self) -> None:
        """Forget the search: the node follows a master, or is one."""
        self._open.close()
        self._since = self._kept = None
