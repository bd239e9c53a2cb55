"""A TCP proxy that breaks connections on purpose."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_BUSY = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 54\r\n"
    b"Connection: close\r\n\r\n<Error><Code>SlowDown</Code><Message/></Error>        "
)


@dataclass
class Faults:
    """What goes wrong from now on. Each count is of connections, used up one by one."""

    busy: int = 0  # answered 503
    reset_request: int = 0  # reset when `after` bytes of the request have passed
    cut_response: int = 0  # closed when `after` bytes of the response have passed
    lose_response: int = 0  # the server gets the request, the client no answer
    after: int = 0
    only: bytes = b""  # faults hit requests whose first packet holds this
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, request: bytes) -> str:
        """Use up one fault and return its name, or the empty text."""
        if self.only not in request:
            return ""
        with self.lock:
            for name in ("busy", "reset_request", "cut_response", "lose_response"):
                left = getattr(self, name)
                if left:
                    setattr(self, name, left - 1)
                    return name
        return ""


@contextmanager
def fault_proxy(target: tuple[str, int]) -> Iterator[tuple[str, Faults]]:
    """Yield (endpoint, faults to switch on) of a proxy before `target`."""
    listener = socket.create_server(("127.0.0.1", 0))
    faults = Faults()
    accepting = threading.Thread(target=_accept, args=(listener, target, faults), daemon=True)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", faults
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(5)


def _accept(listener: socket.socket, target: tuple[str, int], faults: Faults) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, target, faults), daemon=True).start()


def _serve(client: socket.socket, target: tuple[str, int], faults: Faults) -> None:
    with client, suppress(OSError):
        request = client.recv(65536)
        fault = faults.take(request)
        if fault == "busy":
            client.settimeout(0.3)
            with suppress(TimeoutError):
                while client.recv(65536):
                    client.settimeout(0.05)
            client.sendall(_BUSY)
            return
        with socket.create_connection(target) as server:
            server.sendall(request)
            _relay(client, server, fault, faults.after)


def _relay(client: socket.socket, server: socket.socket, fault: str, after: int) -> None:
    back = threading.Thread(target=_answer, args=(server, client, fault, after), daemon=True)
    back.start()
    passed = 0
    with suppress(OSError):
        while data := client.recv(65536):
            passed += len(data)
            if fault == "reset_request" and passed > after:
                _reset(client)
                break
            server.sendall(data)
    with suppress(OSError):
        server.shutdown(socket.SHUT_WR)
    back.join(10)


def _answer(server: socket.socket, client: socket.socket, fault: str, after: int) -> None:
    passed = 0
    with suppress(OSError):
        while data := server.recv(65536):
            if fault == "lose_response" and not data.startswith(b"HTTP/1.1 100"):
                break
            if fault == "cut_response" and passed + len(data) > after:
                client.sendall(data[: after - passed])
                break
            client.sendall(data)
            passed += len(data)
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
