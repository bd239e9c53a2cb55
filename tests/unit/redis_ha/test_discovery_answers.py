"""What is no answer: a stranger's, one that can't be read, one that never ends."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from redis_ha.client.scout import Scout
from redis_ha.connection import Address, Credentials, connect_local
from redis_ha.discovery import (
    Access,
    ask_node,
    ask_sentinel,
    cut_off,
    named_master,
    promotable_by,
    replica_addresses,
)
from redis_ha.errors import Unreachable
from redis_ha.explaining import meaning
from redis_ha.site import Site, named
from redis_ha.surveying import take_survey
from redis_ha.switchover import listed_replicas

NESTED = b"*1\r\n" * 20_000 + b":1\r\n"
RUBBISH = {
    "OK": b"+OK\r\n",
    "a number": b":5\r\n",
    "nothing": b"$-1\r\n",
    "no list": b"*-1\r\n",
    "numbers": b"*1\r\n:5\r\n",
    "an odd list": b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
    "no end of depth": NESTED,
    "a huge length": b"$99999999999999999999\r\n",
}


@contextmanager
def listener(path: Path, *, says: bytes, each: float = 0.0) -> Iterator[None]:
    """Answer each request with the same bytes; with `each` they come one by one, so far apart."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()

    def talk(peer: socket.socket) -> None:
        with suppress(OSError), peer:
            while peer.recv(4096):
                for n in range(len(says) if each else 1):
                    peer.sendall(says[n : n + 1] if each else says)
                    time.sleep(each)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        threading.Thread(target=serve, daemon=True).start()
        yield
        server.shutdown(socket.SHUT_RDWR)


def at(path: Path, monkeypatch: pytest.MonkeyPatch, *, timeout: float = 5.0) -> Access:
    """Give an access of which every address is that socket."""
    monkeypatch.setattr(
        Access, "connect", lambda *_, **__: connect_local(path, timeout=timeout), raising=True
    )
    sentinels = tuple(Address("127.0.0.1", port) for port in (1, 2, 3))
    return Access(sentinels, "mymaster", Credentials("app", ""), Path("ca.crt"), timeout=timeout)


@pytest.mark.parametrize("says", RUBBISH.values(), ids=RUBBISH.keys())
def test_rubbish_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: bytes) -> None:
    access = at(tmp_path / "s", monkeypatch)
    place = access.sentinels[0]
    site = Site(access, None, named((Address("127.0.0.1", 9),), "redis"), named((place,), "s"))
    with listener(tmp_path / "s", says=says):
        assert ask_sentinel(access, place).problem
        assert ask_node(access, place).problem
        assert Scout(access).ask_sentinel(place).view.problem
        assert Scout(access).ask_node(place).view.problem
        assert listed_replicas(access) == ()
        assert promotable_by(access, place) == frozenset()
        with pytest.raises(Unreachable, match="no sentinel answered"):
            replica_addresses(access)
        survey = take_survey(site)
    problems = [member.view.problem for member in (*survey.sentinels, *survey.nodes)]
    assert len(problems) == 2
    assert all(problems)
    assert not any(word in text for text in problems for word in ("zip", "'", "attribute"))


def test_an_answer_that_never_ends_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = at(tmp_path / "s", monkeypatch, timeout=0.5)
    place = access.sentinels[0]
    site = Site(access, None, (), named((place,), "s"))
    began = time.monotonic()
    with listener(tmp_path / "s", says=b"$400\r\n" + b"x" * 400, each=0.1):
        assert meaning(ask_sentinel(access, place).problem) == "it does not answer in time"
        assert meaning(ask_node(access, place).problem) == "it does not answer in time"
        assert take_survey(site).sentinels[0].view.problem == "it does not answer in time"
        assert listed_replicas(access) == ()
    # Whole, each of them would take 40 s.
    assert time.monotonic() - began < 30.0


def test_what_is_in_time_is_not_cut_off(tmp_path: Path) -> None:
    with (
        listener(tmp_path / "s", says=b"+PONG\r\n", each=0.01),
        connect_local(tmp_path / "s") as client,
    ):
        with cut_off(client, 30.0):
            assert client.ping()
        assert not any(
            isinstance(t, threading.Timer) and t.is_alive() and not t.finished.is_set()
            for t in threading.enumerate()
        )
        assert client.ping()


def test_a_wrong_password_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = at(tmp_path / "s", monkeypatch)
    says = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
    with (
        listener(tmp_path / "s", says=says),
        pytest.raises(Unreachable, match=r"127\.0\.0\.1:1: the user or the password") as told,
    ):
        named_master(access)
    assert "invalid username-password" not in str(told.value)
