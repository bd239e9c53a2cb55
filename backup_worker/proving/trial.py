"""A drill that is no condition: where it can't be made, a snapshot goes on without it."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from typing import Any, Self

import age
from backup_worker.manifest import Manifest
from backup_worker.proving import drill
from backup_worker.proving.drill import Drill, NoDrill, Proving
from backup_worker.proving.proof import Proof


class Trial:
    """A drill as far as it gets: where it can't go on, `problem` says why and no proof comes.

    Without a drill and without a problem none was wanted.
    """

    def __init__(self, under_way: Drill | None, problem: str = "") -> None:
        self._drill = under_way
        self.problem = problem

    @classmethod
    def begin(cls, proving: Proving | None, stack: ExitStack) -> Self:
        """Begin a drill that ends with the stack."""
        if proving is None:
            return cls(None)
        try:
            return cls(stack.enter_context(drill.begin(proving)))
        except NoDrill as error:
            return cls(None, error.cause)

    @property
    def recipients(self) -> tuple[age.Recipient, ...]:
        """The one-time key to encrypt to as well."""
        return (self._drill.identity.to_public(),) if self._drill else ()

    def receive(
        self, open_rdb: Callable[[age.Identity], Generator[bytes, None, None]], *, size: int
    ) -> bool:
        """Write an RDB down, opened with the one-time key; say whether it was read to its end."""
        if self._drill is None:
            return False
        try:
            with closing(open_rdb(self._drill.identity)) as content:
                self._drill.receive(content, size=size)
        except NoDrill as error:
            self._drill, self.problem = None, error.cause
        return self._drill is not None

    def prove(self, manifest: Manifest, **options: Any) -> Proof | None:
        """Prove as Drill.prove does; None when that can't be done."""
        if self._drill is None:
            return None
        try:
            return self._drill.prove(manifest, **options)
        except NoDrill as error:
            self.problem = error.cause
            return None
