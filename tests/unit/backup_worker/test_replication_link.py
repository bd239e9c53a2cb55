"""The link's behaviour towards servers that stall, refuse, break off or talk nonsense."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from backup_worker.errors import ClusterUnreachable, ProtocolError, SourceLost
from backup_worker.replication.link import Timeouts, snapshot_events
from backup_worker.replication.protocol import Event, FullResync, RdbChunk, RdbEnd
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from tests.processes.cluster_files import Tls, write_tls

REPLID = b"8de1787ba490483314a4d30f1c628bc5025eb761"
MARK = b"m" * 40
OK = b"+OK\r\n"
ACCEPTED = [OK, b"+PONG\r\n", OK, OK, OK]
ANNOUNCED = b"+FULLRESYNC " + REPLID + b" 7\r\n"
HASTY = Timeouts(connect=2, reply=0.5, idle=0.5)
Play = Callable[[ssl.SSLSocket], None]


def script(*answers: bytes) -> Play:
    """Answer each command with the next bytes, then close."""

    def play(client: ssl.SSLSocket) -> None:
        for answer in answers:
            client.recv(4096)
            client.sendall(answer)

    return play


@contextmanager
def server(tls: Tls, play: Play) -> Iterator[Access]:
    """Serve one client over TLS on loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                plain, _ = listener.accept()
                with context.wrap_socket(plain, server_side=True) as client:
                    play(client)

        thread = threading.Thread(target=serve)
        thread.start()
        address = Address("127.0.0.1", listener.getsockname()[1])
        yield Access((address,), "mymaster", Credentials("backup", "s3cret pass"), tls.ca)
        thread.join(10)


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return write_tls(tmp_path / "tls")


def read(tls: Tls, play: Play, limits: Timeouts = HASTY) -> list[Event]:
    with server(tls, play) as access:
        return list(snapshot_events(access, access.sentinels[0], timeouts=limits))


def test_a_snapshot_is_asked_for_and_read_to_its_end(tls: Tls) -> None:
    said: list[bytes] = []

    def play(client: ssl.SSLSocket) -> None:
        for answer in [*ACCEPTED, ANNOUNCED + b"\n$EOF:" + MARK + b"\r\nREDIS" + MARK]:
            said.append(client.recv(4096))
            client.sendall(answer)
        assert client.recv(1) == b""

    events = read(tls, play)
    assert events[0] == FullResync(REPLID.decode(), 7)
    assert b"".join(e.data for e in events if isinstance(e, RdbChunk)) == b"REDIS"
    assert isinstance(events[-1], RdbEnd)
    assert said[0] == b"*3\r\n$4\r\nAUTH\r\n$6\r\nbackup\r\n$11\r\ns3cret pass\r\n"
    assert said[-2:] == [
        b"*3\r\n$8\r\nREPLCONF\r\n$8\r\nrdb-only\r\n$1\r\n1\r\n",
        b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n",
    ]


def test_a_large_transfer_comes_whole_and_in_large_pieces(tls: Tls) -> None:
    size = 20_000_000
    framed = ANNOUNCED + b"$%d\r\n" % size
    events = read(tls, script(*ACCEPTED, framed + bytes(size)))
    chunks = [e.data for e in events if isinstance(e, RdbChunk)]
    assert sum(map(len, chunks)) == size
    assert len(chunks) < size / 16_384


@pytest.mark.parametrize("refusal", [b"-NOMASTERLINK no\r\n", b"-LOADING wait\r\n"])
def test_a_node_that_cannot_serve_now_is_lost(tls: Tls, refusal: bytes) -> None:
    with pytest.raises(SourceLost, match="can't serve now"):
        read(tls, script(*ACCEPTED, refusal))


@pytest.mark.parametrize(
    ("refusal", "hint"),
    [
        (b"-WRONGPASS invalid username-password pair\r\n", "REDIS_BACKUP_PASSWORD"),
        (b"-NOPERM no permissions\r\n", "psync"),
        (b"-ERR what\r\n", "log"),
    ],
)
def test_a_refusal_for_good_names_the_remedy(tls: Tls, refusal: bytes, hint: str) -> None:
    with pytest.raises(ClusterUnreachable, match=hint) as caught:
        read(tls, script(refusal))
    assert not isinstance(caught.value, SourceLost)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "last", [b"", ANNOUNCED, ANNOUNCED + b"$EOF:" + MARK + b"\r\nREDIS", ANNOUNCED + b"$9\r\nREDIS"]
)
def test_a_connection_that_ends_early_is_lost(tls: Tls, last: bytes) -> None:
    with pytest.raises(SourceLost, match=r"closed the connection|broke"):
        read(tls, script(*ACCEPTED, last))


def test_a_goodbye_right_behind_the_last_bytes_ends_the_transfer(tls: Tls) -> None:
    def play(client: ssl.SSLSocket) -> None:
        script(*ACCEPTED)(client)
        client.recv(4096)
        client.sendall(ANNOUNCED + b"$5\r\nREDIS")
        with suppress(OSError):
            client.unwrap()

    assert isinstance(read(tls, play)[-1], RdbEnd)


def test_a_goodbye_before_the_last_bytes_is_a_loss(tls: Tls) -> None:
    def play(client: ssl.SSLSocket) -> None:
        script(*ACCEPTED)(client)
        client.recv(4096)
        client.sendall(ANNOUNCED + b"$5\r\nRED")
        with suppress(OSError):
            client.unwrap()

    with pytest.raises(SourceLost):
        read(tls, play)


def test_silence_is_bounded(tls: Tls) -> None:
    def play(client: ssl.SSLSocket) -> None:
        script(*ACCEPTED, ANNOUNCED)(client)
        with suppress(OSError):
            client.recv(1)

    began = time.monotonic()
    with pytest.raises(SourceLost, match=r"no sign of life for 0\.5 s"):
        read(tls, play)
    assert time.monotonic() - began < 5


def test_keep_alives_count_as_life(tls: Tls) -> None:
    def play(client: ssl.SSLSocket) -> None:
        script(*ACCEPTED)(client)
        for _ in range(8):
            time.sleep(0.2)
            client.sendall(b"\n")
        client.sendall(ANNOUNCED + b"$1\r\nx")

    assert isinstance(read(tls, play)[-1], RdbEnd)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400\r\n", b"*1\r\n$2\r\nhi\r\n"])
def test_another_kind_of_server_is_recognised(tls: Tls, answer: bytes) -> None:
    with pytest.raises(ProtocolError, match="unknown reply"):
        read(tls, script(answer))


def test_a_partial_resync_that_nobody_asked_for_is_refused(tls: Tls) -> None:
    with pytest.raises(ClusterUnreachable, match="FullResync was due"):
        read(tls, script(*ACCEPTED, b"+CONTINUE\r\n"))


def test_a_certificate_of_another_ca_is_refused_for_good(tls: Tls, tmp_path: Path) -> None:
    with server(tls, script()) as access:
        stranger = tmp_path / "other.crt"
        stranger.write_bytes(tls.certificate.read_bytes())
        distrusting = Access(access.sentinels, "mymaster", access.credentials, stranger)
        with pytest.raises(ClusterUnreachable, match="not trusted") as caught:
            list(snapshot_events(distrusting, access.sentinels[0], timeouts=HASTY))
    assert not isinstance(caught.value, SourceLost)


def test_a_closed_port_is_lost(tls: Tls) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("127.0.0.1", listener.getsockname()[1])
    access = Access((address,), "mymaster", Credentials("backup", "x"), tls.ca)
    with pytest.raises(SourceLost, match="no connection"):
        list(snapshot_events(access, address, timeouts=HASTY))
