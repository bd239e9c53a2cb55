"""What every type of the stand-in does alike: make, settle, look, change, remove."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from typing_extensions import override

from toolchain.plugins.aws.account import attempt, is_gone
from toolchain.plugins.base.diffing import same
from toolchain.plugins.base.errors import InitFailed, OperationFailed
from toolchain.plugins.base.resource import Made, Operation, ResourceType
from toolchain.plugins.base.schema import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolchain.plugins.aws.account import Account
    from toolchain.plugins.base.schema import Field

Properties = dict[str, Any]
_KEPT_AS_WRITTEN: Final = frozenset(Kind) - {Kind.BLOCK}


class AwsType(ResourceType):
    """One type; `service` names its client.

    `settle` brings to what exists whatever can't be said when it is made; it runs after making
    and after every change, so it may find its work done.
    """

    service: str

    def __init__(self, account: Account) -> None:
        self._account = account

    @property
    def api(self) -> Any:
        """The client of the type's service."""
        return self._account.client(self.service)

    def make(self, inputs: Properties, operation: Operation) -> str:
        """Create it and return its id."""
        raise NotImplementedError

    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        """Set the rest; `old` is empty right after making."""

    def look(self, identity: str, state: Properties) -> Properties | None:
        """Tell what AWS has; None, or AWS's own "no such", when it is gone."""
        raise NotImplementedError

    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        """Delete it."""
        raise NotImplementedError

    @override
    def create(self, inputs: Properties, operation: Operation) -> Made:
        with attempt("create", operation.urn):
            identity = self.make(inputs, operation)
        try:
            with attempt("set up", identity):
                self.settle(identity, {}, inputs, operation)
                seen = self.look(identity, inputs) or {}
        except OperationFailed as error:
            raise InitFailed(identity=identity, state=inputs, reason=str(error)) from error
        return Made(identity, self._state(inputs, seen))

    @override
    def read(self, identity: str, state: Properties, operation: Operation) -> Made | None:
        with attempt("read", identity):
            try:
                seen = self.look(identity, state)
            except ClientError as error:
                if not is_gone(error):
                    raise
                return None
        return None if seen is None else Made(identity, self._state(state, seen))

    @override
    def update(
        self, identity: str, state: Properties, inputs: Properties, operation: Operation
    ) -> Properties:
        with attempt("update", identity):
            self.settle(identity, state, inputs, operation)
            seen = self.look(identity, inputs) or {}
        kept = super().update(identity, state, inputs, operation)
        return self._state(kept, seen)

    @override
    def delete(self, identity: str, state: Properties, operation: Operation) -> None:
        with attempt("delete", identity):
            try:
                self.remove(identity, state, operation)
            except ClientError as error:
                if not is_gone(error):
                    raise

    def _state(self, known: Properties, seen: Properties) -> Properties:
        """Prefer the program's spelling where AWS means the same."""
        merged = {**known, **seen}
        for name, spec in self.schema.inputs.items():
            if spec.write_only:
                merged.pop(name, None)
            elif name in seen and _as_written(spec, seen[name], known.get(name)):
                merged[name] = known[name]
        return merged


def _as_written(spec: Field, seen: Any, known: Any) -> bool:
    return known is not None and spec.kind in _KEPT_AS_WRITTEN and same(spec, seen, known)


def chosen_name(inputs: Mapping[str, Any]) -> str:
    """Give the name, or one that begins with the prefix, as long as the official ones."""
    return str(inputs.get("name") or f"{inputs['namePrefix']}{secrets.token_hex(13)}")
