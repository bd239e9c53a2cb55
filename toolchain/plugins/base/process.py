"""The plugin's process: serve until the engine stops or disappears."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NoReturn

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from toolchain.plugins.base.engine import Engine
from toolchain.plugins.base.lifetime import Lifetime
from toolchain.plugins.base.servicer import ProviderServicer

if TYPE_CHECKING:
    from toolchain.plugins.base.resource import Plugin

_MESSAGE_LIMIT: Final = 400 * 1024 * 1024  # bytes; the limit the engine itself uses
_THREADS: Final = 64  # one blocks for each container that is waited for


def main(plugin: Plugin) -> NoReturn:
    """Serve on a free port of 127.0.0.1; the first line on stdout is the port.

    Started as `plugin ENGINE_ADDRESS`, in a process group of its own: ^C reaches the engine
    only, which calls Cancel. With SIGINT the engine ends a plugin that it no longer needs.
    """
    lifetime = Lifetime()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: lifetime.quit())
    server = grpc.server(
        ThreadPoolExecutor(max_workers=_THREADS),
        options=[
            ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
            ("grpc.max_send_message_length", _MESSAGE_LIMIT),
        ],
    )
    servicer = ProviderServicer(plugin, lifetime=lifetime, engine=Engine(sys.argv[1]))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    lifetime.await_end()
    os._exit(0)  # threads that still wait for a daemon must not keep the process alive
