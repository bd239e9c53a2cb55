"""TLS over a socket, its records fetched many at a time.

A server under load sends records of a few hundred bytes. Reading them one by one from an
SSLSocket costs two system calls each; here one call fetches all that has arrived.
"""

import select
import socket
import ssl
import time

READ_SIZE = 256 * 1024
_CLOSED = "it closed the connection before the end"


class ConnectionLost(Exception):
    """The connection is of no use any more; the text says why."""


class Transport:
    """A connected socket with TLS on it; every wait is bounded by the caller."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._socket = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._raw = memoryview(bytearray(READ_SIZE))
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._ending = ""

    def shake_hands(self, patience: float) -> None:
        """Negotiate; raises ssl.SSLCertVerificationError, ConnectionLost."""
        deadline = time.monotonic() + patience
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(patience)
                if not self._await_bytes(deadline - time.monotonic()):
                    raise ConnectionLost(f"no TLS handshake within {patience:g} s") from None
                if not self._fetch():
                    raise ConnectionLost(self._ending) from None
            except ssl.SSLCertVerificationError:
                self._flush(patience)  # the alert tells the server's log why
                raise
            except OSError as error:
                raise _broke(error) from error
            else:
                return self._flush(patience)

    def send(self, data: bytes, patience: float) -> None:
        """Send all of it within `patience` seconds."""
        try:
            self._tls.write(data)
        except OSError as error:
            raise _broke(error) from error
        self._flush(patience)

    def receive(self, patience: float, gather: float) -> bytes:
        """Return what has arrived, at most READ_SIZE; nothing when `patience` seconds bring none.

        While there is little of it, waits `gather` seconds once for more, if that is not 0. What
        came before the connection ended is returned first: it may say why.
        """
        filled, waited = self._decrypt(0), False
        while filled < READ_SIZE:
            arrived = self._fetch()
            before, filled = filled, self._decrypt(filled)
            if filled > before:
                continue
            if arrived is False and not filled:
                raise ConnectionLost(self._ending)
            if arrived:  # a part of a record
                continue
            if arrived is False or waited:
                break
            if filled:
                if not gather:
                    break
                waited = True
                time.sleep(gather)
            elif not self._await_bytes(patience):
                break
        return bytes(self._buffer[:filled])

    def _fetch(self) -> bool | None:
        """Take over what has arrived; None when there is nothing yet, False at the end."""
        if self._ending:
            return False
        self._socket.setblocking(False)
        try:
            count = self._socket.recv_into(self._raw)
        except BlockingIOError:
            return None
        except OSError as error:
            self._ending = _broke(error).args[0]
            return False
        if not count:
            self._ending = _CLOSED
            return False
        self._incoming.write(self._raw[:count])
        return True

    def _decrypt(self, filled: int) -> int:
        """Decrypt what was fetched into the buffer, from `filled` on; return where that ends."""
        try:
            while filled < READ_SIZE:
                count = int(self._tls.read(READ_SIZE, self._buffer[filled:]))
                if not count:
                    self._ending = self._ending or _CLOSED
                    break
                filled += count
        except ssl.SSLWantReadError:
            pass  # what follows is not here yet
        except ssl.SSLZeroReturnError:
            # Said so in TLS alone: a server's forked child may hold the socket open for long.
            self._ending = self._ending or _CLOSED
        except OSError as error:
            raise _broke(error) from error
        return filled

    def _await_bytes(self, patience: float) -> bool:
        return bool(select.select([self._socket], [], [], max(0.0, patience))[0])

    def _flush(self, patience: float) -> None:
        if not self._outgoing.pending:
            return
        try:
            self._socket.settimeout(patience)
            self._socket.sendall(self._outgoing.read())
        except OSError as error:
            raise _broke(error) from error


def _broke(error: OSError) -> ConnectionLost:
    return ConnectionLost(f"the connection broke ({error})")
