"""What ends an attempt on a real socket: which of it proves that nobody lives there."""

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from redis_ha.connection import Address, Credentials
from redis_ha.witness.link import SYN_SECONDS, Link, Login, News
from tests.processes.cluster_files import Tls, write_tls
from tests.unit.redis_ha.full_queues import fill

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return write_tls(tmp_path_factory.mktemp("link"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def listener(stack: ExitStack, backlog: int = 8) -> socket.socket:
    found = stack.enter_context(socket.socket())
    found.bind((HOST, 0))
    found.listen(backlog)
    return found


def first_news(address: Address, ca: Path, meet: Callable[[], object] = lambda: None) -> News:
    """Dial until something becomes of it; `meet` is called meanwhile."""
    link = dialling(address, ca)
    try:
        return next_news(link, meet)
    finally:
        link.close()


def dialling(address: Address, ca: Path) -> Link:
    login = Login(Credentials("witness", "secret"), ca, "witness-1")
    return Link(address, login, now=time.monotonic())


def next_news(link: Link, meet: Callable[[], object] = lambda: None) -> News:
    deadline = time.monotonic() + 4.0
    while not link.news:
        assert time.monotonic() < deadline
        link.on_time(time.monotonic())
        if link.socket is not None:
            link.on_ready(time.monotonic()) if ready(link) else meet()
    return link.news.pop(0)


def ready(link: Link) -> bool:
    wanted = [link.socket] if link.wants_write else []
    readable, writable, _ = select.select([link.socket], wanted, [], 0.01)
    return bool(readable or writable)


def place(sock: socket.socket) -> Address:
    return Address(HOST, sock.getsockname()[1])


def test_a_closed_port_is_nobody(tls: Tls, stack: ExitStack) -> None:
    closed = listener(stack)
    address = place(closed)
    closed.close()
    assert first_news(address, tls.ca) is News.UNREACHABLE


def test_a_listener_that_hangs_is_somebody(tls: Tls, stack: ExitStack) -> None:
    assert first_news(place(listener(stack)), tls.ca) is News.KNOCKED


def test_a_listener_that_closes_is_somebody(tls: Tls, stack: ExitStack) -> None:
    server = listener(stack)
    server.settimeout(0.0)

    def accept_and_close() -> None:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return

    assert first_news(place(server), tls.ca, accept_and_close) is News.KNOCKED


def full_queue(stack: ExitStack) -> socket.socket:
    """Return a listener that accepts nobody and whose queue holds no one more."""
    server = listener(stack, backlog=0)
    fill(stack, server)
    return server


def test_a_full_queue_is_somebody(tls: Tls, stack: ExitStack) -> None:
    assert first_news(place(full_queue(stack)), tls.ca) is News.KNOCKED


def no_datagrams(stack: ExitStack, address: tuple[str, int]) -> None:
    """Take datagrams from now on, so that no ICMP tells of a living machine."""
    swallower = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    swallower.bind(address)


def test_a_machine_that_ends_a_moment_after_its_process_is_nobody(
    tls: Tls, stack: ExitStack
) -> None:
    """As a killed container: at first its kernel refuses, then its address is nobody's."""
    link = refused_and_then_silent(tls, stack)
    no_datagrams(stack, (link.address.host, link.address.port))
    assert [next_news(link) for _ in range(3)] == [News.UNREACHABLE] * 3


def test_a_machine_that_lives_on_with_a_busy_listener_is_somebody(
    tls: Tls, stack: ExitStack
) -> None:
    link = refused_and_then_silent(tls, stack)
    assert [next_news(link) for _ in range(2)] == [News.KNOCKED] * 2


def refused_and_then_silent(tls: Tls, stack: ExitStack) -> Link:
    """Dial where the kernel says that nobody listens, and from then on drops SYNs."""
    closed = listener(stack)
    address = place(closed)
    closed.close()
    link = dialling(address, tls.ca)
    stack.callback(link.close)
    assert next_news(link) is News.UNREACHABLE
    drops_syns(stack, closed_at=address)
    return link


def drops_syns(stack: ExitStack, *, closed_at: Address) -> None:
    """Have a listener with a full queue at an address where nobody listened."""
    server = stack.enter_context(socket.socket())
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((closed_at.host, closed_at.port))
    server.listen(0)
    fill(stack, server)


def test_a_machine_that_answers_nothing_is_nobody(tls: Tls, stack: ExitStack) -> None:
    server = full_queue(stack)
    no_datagrams(stack, server.getsockname())
    began = time.monotonic()
    assert first_news(place(server), tls.ca) is News.UNREACHABLE
    assert time.monotonic() - began >= SYN_SECONDS
