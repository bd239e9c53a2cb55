"""The follower's side of a link: what it asks, what it hands on, when it gives up."""

import ssl
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from backup_worker.errors import ClusterUnreachable, HistoryLost, SourceLost
from backup_worker.replication.link import Timeouts, follow
from tests.processes.cluster_files import Tls, write_tls
from tests.unit.backup_worker.test_replication_link import OK, Play, script, server

REPLID, OTHER = "8de1787ba490483314a4d30f1c628bc5025eb761", "f" * 40
ACCEPTED = [OK, b"+PONG\r\n", OK, OK]
HASTY = Timeouts(connect=2, reply=0.5, idle=0.6, tick=0.1)


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return write_tls(tmp_path / "tls")


def received(tls: Tls, play: Play, *, until: int, limits: Timeouts = HASTY) -> bytes:
    """Follow from offset 99 until so many bytes came."""
    with server(tls, play) as access:
        pieces = follow(access, access.sentinels[0], replid=REPLID, offset=99, timeouts=limits)
        with closing(pieces):
            data = b""
            assert next(pieces) == b""
            while len(data) < until:
                data += next(pieces)
            return data


def test_it_asks_for_the_next_byte_and_hands_on_all_that_follows(tls: Tls) -> None:
    said: list[bytes] = []

    def play(client: ssl.SSLSocket) -> None:
        for answer in [*ACCEPTED, b"+CONTINUE\r\nfirst"]:
            said.append(client.recv(4096))
            client.sendall(answer)
        client.sendall(b"second" * 100_000)
        with suppress(OSError):
            client.recv(1)

    assert received(tls, play, until=600_005) == b"first" + b"second" * 100_000
    assert (
        said[-2]
        == b"*5\r\n$8\r\nREPLCONF\r\n$4\r\ncapa\r\n$3\r\neof\r\n$4\r\ncapa\r\n$6\r\npsync2\r\n"
    )
    assert said[-1] == b"*3\r\n$5\r\nPSYNC\r\n$40\r\n%s\r\n$3\r\n100\r\n" % REPLID.encode()


def test_it_acknowledges_what_it_received(tls: Tls) -> None:
    acknowledged: list[bytes] = []

    def play(client: ssl.SSLSocket) -> None:
        script(*ACCEPTED, b"+CONTINUE " + REPLID.encode() + b"\r\n")(client)
        client.sendall(b"12345")
        acknowledged.append(client.recv(4096))
        client.sendall(b"6")

    assert received(tls, play, until=6, limits=Timeouts(idle=5, tick=0.1)) == b"123456"
    assert acknowledged == [b"*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$3\r\n104\r\n"]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (f"+FULLRESYNC {OTHER} 7\r\n", "only a full copy"),
        (f"+CONTINUE {OTHER}\r\n", "history has changed"),
    ],
)
def test_a_node_that_cannot_continue_there_is_left_before_it_sends(
    tls: Tls, answer: str, cause: str
) -> None:
    with pytest.raises(HistoryLost, match=cause):
        received(tls, script(*ACCEPTED, answer.encode()), until=1)


@pytest.mark.parametrize("refusal", [b"-NOMASTERLINK no\r\n", b"-LOADING wait\r\n"])
def test_a_node_that_cannot_serve_now_is_lost(tls: Tls, refusal: bytes) -> None:
    with pytest.raises(SourceLost, match="can't serve now"):
        received(tls, script(*ACCEPTED, refusal), until=1)


def test_a_user_without_rights_is_told(tls: Tls) -> None:
    with pytest.raises(ClusterUnreachable, match=r"\+psync"):
        received(tls, script(*ACCEPTED, b"-NOPERM no\r\n"), until=1)


def test_what_came_before_the_end_is_handed_on(tls: Tls) -> None:
    play = script(*ACCEPTED, b"+CONTINUE\r\nlast words")
    assert received(tls, play, until=10) == b"last words"
    with pytest.raises(SourceLost, match=r"closed the connection|broke"):
        received(tls, play, until=11)


def test_a_silent_stream_ticks_and_then_is_lost(tls: Tls) -> None:
    def play(client: ssl.SSLSocket) -> None:
        script(*ACCEPTED, b"+CONTINUE\r\n")(client)
        with suppress(OSError):
            while client.recv(4096):
                pass

    began = time.monotonic()
    with pytest.raises(SourceLost, match=r"no sign of life for 0\.6 s"):
        received(tls, play, until=1)
    assert 0.5 < time.monotonic() - began < 5
