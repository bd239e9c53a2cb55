"""Stands between the application and the nodes, at an address of its own, and cuts connections."""

import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from redis_ha.connection import Address

# Linux gives every process all of 127.0.0.0/8.
HOST = "127.0.0.2"
_LOOK_SECONDS = 0.2


@dataclass
class Relays:
    """One for each node: HOST and the node's own port. What goes through is TLS, and not seen."""

    cuts: int = 0
    # The port of the node whose next answer is kept back.
    _armed: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    @classmethod
    @contextmanager
    def before(cls, nodes: Sequence[Address]) -> Iterator["Relays"]:
        """Listen before these nodes."""
        relays = cls()
        with ExitStack() as listeners:
            for node in nodes:
                listener = listeners.enter_context(socket.create_server((HOST, node.port)))
                relays._run(relays._accept, listener, node)
            try:
                yield relays
            finally:
                relays._over.set()
                for thread in relays._threads:
                    thread.join(10)

    def cut_at_next_answer(self, node: Address) -> None:
        """Keep the next answer of this node back and close: what it answers was done."""
        with self._lock:
            self._armed = node.port

    def _run(self, act: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=act, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket, node: Address) -> None:
        while not self._over.is_set():
            if select.select([listener], [], [], _LOOK_SECONDS)[0]:
                client, _ = listener.accept()
                self._run(self._carry, client, node)

    def _carry(self, client: socket.socket, node: Address) -> None:
        """Carry both ways until one end closes, a cut, or the end."""
        with client, suppress(OSError), socket.create_connection((node.host, node.port)) as server:
            while not self._over.is_set():
                for source in select.select([client, server], [], [], _LOOK_SECONDS)[0]:
                    part = source.recv(1 << 16)
                    if not part or (source is server and self._is_cut(node.port)):
                        return
                    (client if source is server else server).sendall(part)

    def _is_cut(self, port: int) -> bool:
        with self._lock:
            hit = self._armed == port
            if hit:
                self._armed = None
                self.cuts += 1
            return hit
