"""Answers in the protocol's own messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import grpc
from google.protobuf import any_pb2
from pulumi.runtime.proto import provider_pb2, status_pb2

from toolchain.plugins.base.values import encode

if TYPE_CHECKING:
    from toolchain.plugins.base.checking import Failure
    from toolchain.plugins.base.diffing import Change
    from toolchain.plugins.base.errors import InitFailed


class Context(Protocol):
    """What is used of gRPC's server context, which comes without types."""

    def is_active(self) -> bool:
        """Say whether the caller still waits for the answer."""

    def abort(self, code: Any, details: str) -> NoReturn:
        """End the call with an error."""

    def set_trailing_metadata(self, trailing_metadata: tuple[tuple[str, bytes], ...]) -> None:
        """Add metadata to the end of the answer."""


_KINDS = {
    ("add", False): provider_pb2.PropertyDiff.ADD,
    ("add", True): provider_pb2.PropertyDiff.ADD_REPLACE,
    ("update", False): provider_pb2.PropertyDiff.UPDATE,
    ("update", True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
    ("delete", False): provider_pb2.PropertyDiff.DELETE,
    ("delete", True): provider_pb2.PropertyDiff.DELETE_REPLACE,
}


def wire_failures(found: list[Failure]) -> list[provider_pb2.CheckFailure]:
    """Say what Check found wrong."""
    return [provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in found]


def wire_diff(
    found: dict[str, Change], *, delete_before_replace: bool = False
) -> provider_pb2.DiffResponse:
    """Say what Diff found, property by property."""
    response = provider_pb2.DiffResponse
    return response(
        changes=response.DIFF_SOME if found else response.DIFF_NONE,
        diffs=list(found),
        replaces=[name for name, change in found.items() if change.replaces],
        detailedDiff={
            name: provider_pb2.PropertyDiff(kind=_KINDS[change.kind, change.replaces])
            for name, change in found.items()
        },
        hasDetailedDiff=True,
        deleteBeforeReplace=delete_before_replace,
    )


def abort(context: Context, message: str) -> NoReturn:
    """Answer the call with an error."""
    context.abort(grpc.StatusCode.UNKNOWN, message)


def abort_init(
    context: Context, error: InitFailed, state: dict[str, Any], inputs: dict[str, Any]
) -> NoReturn:
    """Answer with an error that makes the engine keep the resource in the state."""
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.identity,
            properties=encode(state),
            inputs=encode(inputs),
            reasons=[error.reason],
        )
    )
    status = status_pb2.Status(
        code=grpc.StatusCode.UNKNOWN.value[0], message=error.reason, details=[detail]
    )
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    abort(context, error.reason)
