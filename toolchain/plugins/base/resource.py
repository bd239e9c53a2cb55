"""A resource type: the one thing that a plugin writes for each type it offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from toolchain.plugins.base import diffing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toolchain.plugins.base.checking import Failure
    from toolchain.plugins.base.diffing import Change
    from toolchain.plugins.base.lifetime import Lifetime
    from toolchain.plugins.base.schema import Schema

Properties = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """A resource that exists: its id and its state."""

    identity: str
    state: Properties


@dataclass(frozen=True)
class Operation:
    """What every operation gets: the resource's URN, the plugin's lifetime, a way to warn."""

    urn: str
    lifetime: Lifetime
    warn: Callable[[str], None]


class ResourceType:
    """One type. Inputs and state come in plain; the server seals secrets again on the way out.

    A type whose values live in the state alone (a random string, a certificate) needs `create`
    only: reading finds it unchanged, updating takes over the new inputs, deleting is nothing.
    """

    schema: Schema

    def check(self, inputs: Properties) -> list[Failure]:  # noqa: ARG002 - most types have no more
        """Name what is wrong beyond the schema; inputs may hold `UNKNOWN`."""
        return []

    def diff(self, state: Properties, inputs: Properties) -> dict[str, Change]:
        """Compare by the schema."""
        return diffing.changes(self.schema, state, inputs)

    def create(self, inputs: Properties, operation: Operation) -> Made:
        """Make it; raise OperationFailed with nothing left behind, or InitFailed."""
        raise NotImplementedError

    def read(self, identity: str, state: Properties, operation: Operation) -> Made | None:  # noqa: ARG002
        """Look at it; None when it is gone."""
        return Made(identity, state)

    def update(
        self,
        identity: str,  # noqa: ARG002
        state: Properties,
        inputs: Properties,
        operation: Operation,  # noqa: ARG002
    ) -> Properties:
        """Change it in place and return the new state."""
        kept = {n: v for n, v in state.items() if self._filled_in(n)}
        return {**kept, **inputs}

    def _filled_in(self, name: str) -> bool:
        """Say whether the provider, not the program, may have set the property."""
        return name not in self.schema.inputs or self.schema.inputs[name].computed

    def delete(self, identity: str, state: Properties, operation: Operation) -> None:
        """Remove it; one that is already gone is fine."""


class Function(Protocol):
    """A function of a provider: arguments to results; raises OperationFailed."""

    def __call__(self, arguments: Properties, /) -> Properties:
        """Answer."""


@dataclass(frozen=True)
class Plugin:
    """A provider: its configuration's schema and, once configured, its types and functions.

    Both are kept by their tokens.
    """

    name: str
    version: str
    config: Schema
    connect: Callable[[Mapping[str, Any]], Mapping[str, ResourceType]]
    functions: Callable[[Mapping[str, Any]], Mapping[str, Function]] = lambda _config: {}
