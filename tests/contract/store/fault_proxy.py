"""A TCP proxy that breaks connections on purpose."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_HANG_SECONDS = 30.0
_NOTHING = (
    b'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
    b"<KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
    b"</ListBucketResult>"
)
_STALE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%s" % (len(_NOTHING), _NOTHING)
)
_BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_BUSY = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 54\r\n"
    b"Connection: close\r\n\r\n<Error><Code>SlowDown</Code><Message/></Error>        "
)


_CANNED = {"busy": _BUSY, "broken": _BROKEN, "stale_list": _STALE}
_COUNTED = (
    *("busy", "broken", "hang", "stale_list"),
    *("reset_request", "cut_response", "lose_response"),
)


@dataclass
class Faults:
    """What goes wrong from now on. Each count is of connections, used up one by one."""

    busy: int = 0  # answered 503
    broken: int = 0  # answered 500, without a word
    hang: int = 0  # never answered
    stale_list: int = 0  # answered with a listing from before there was anything
    reset_request: int = 0  # reset when `after` bytes of the request have passed
    cut_response: int = 0  # closed when `after` bytes of the response have passed
    lose_response: int = 0  # the server gets the request, the client no answer
    rate: int = 0  # bytes per second that pass to the server on each connection, 0: any
    after: int = 0
    only: bytes = b""  # faults hit requests whose first packet holds this
    lock: threading.Lock = field(default_factory=threading.Lock)

    def clear(self) -> None:
        """Switch all off."""
        for name in _COUNTED:
            setattr(self, name, 0)
        self.rate, self.only = 0, b""

    def take(self, request: bytes) -> str:
        """Use up one fault and return its name, or the empty text."""
        if self.only not in request:
            return ""
        with self.lock:
            for name in _COUNTED:
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
        if fault == "hang":
            client.settimeout(_HANG_SECONDS)
            while client.recv(65536):
                continue
            return
        if fault in _CANNED:
            _answer_without_server(client, _CANNED[fault])
            return
        with socket.create_connection(target) as server:
            server.sendall(request)
            _relay(client, server, fault, faults)


def _answer_without_server(client: socket.socket, answer: bytes) -> None:
    """Take what the client still sends, then answer."""
    client.settimeout(0.3)
    with suppress(TimeoutError):
        while client.recv(65536):
            client.settimeout(0.05)
    client.sendall(answer)


def _relay(client: socket.socket, server: socket.socket, fault: str, faults: Faults) -> None:
    after = faults.after
    back = threading.Thread(target=_answer, args=(server, client, fault, after), daemon=True)
    back.start()
    passed = 0
    with suppress(OSError):
        while data := client.recv(65536):
            passed += len(data)
            if fault == "reset_request" and passed > after:
                _reset(client)
                break
            if faults.rate:
                time.sleep(len(data) / faults.rate)
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
