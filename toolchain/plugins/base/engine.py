"""The engine's side of the connection: where a plugin shows a message to the user."""

from __future__ import annotations

import contextlib

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc


class Engine:
    """Shows messages; an engine that cannot be reached is no reason to fail an operation."""

    def __init__(self, address: str) -> None:
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def warn(self, text: str, *, urn: str) -> None:
        """Show a warning beside the resource."""
        request = engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=text, urn=urn)
        with contextlib.suppress(grpc.RpcError):
            self._stub.Log(request, timeout=2.0)
