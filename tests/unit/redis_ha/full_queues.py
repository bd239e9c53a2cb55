"""Listeners whose queue is full: the kernel drops whatever else wants to connect."""

import socket
from contextlib import ExitStack


def fill(stack: ExitStack, server: socket.socket) -> None:
    """Connect to a listener that accepts nobody until its queue holds no one more."""
    while True:
        client = stack.enter_context(socket.socket())
        client.settimeout(0.2)
        try:
            client.connect(server.getsockname())
        except TimeoutError:
            return
