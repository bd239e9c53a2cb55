"""What the witness's loop sends, in which order, and what it says of refusals."""

import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from redis_ha.connection import Address, Credentials
from redis_ha.witness import decisions
from redis_ha.witness.core import Case
from redis_ha.witness.link import News, OnReply
from redis_ha.witness.loop import Witness, WitnessSettings
from redis_ha.witness.resp import Refusal
from redis_ha.witness.vote import Death

OLD, NEW = Address("127.0.0.1", 1), Address("127.0.0.1", 2)
SENTINEL = Address("127.0.0.1", 3)


class Log:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.said.append((event, fields))

    warning = info


class Peer:
    """A link to somebody who answers each command as told, else OK, None: not yet."""

    def __init__(self, address: Address, answers: dict[str, Any] | None = None) -> None:
        self.address = address
        self.problem = ""
        self.news: list[News] = []
        self.pushed: list[Any] = []
        self.sent: list[str] = []
        self.answers: dict[str, Any] = defaultdict(lambda: "OK", answers or {})

    def send(self, *words: str, on_reply: OnReply | None = None, replies: int = 1) -> bool:
        self.sent.append(" ".join(words))
        if on_reply is not None:
            on_reply(self.answers[words[0]])
        return True


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def witness(tmp_path: Path, log: Log) -> Witness:
    settings = WitnessSettings(
        *(1, (OLD, NEW), (SENTINEL,), "mymaster", Credentials("witness", "secret")),
        ca=tmp_path / "ca.crt",
        down_after=5.0,
        status_file=tmp_path / "witness.json",
    )
    return Witness(settings, log)


def refused(log: Log) -> list[str]:
    return [fields["reason"] for event, fields in log.said if event == "command-refused"]


def test_an_old_master_that_follows_may_answer_its_clients_again(witness: Witness) -> None:
    old = Peer(OLD, {"REPLICAOF": "OK Already connected to specified master"})
    witness._nodes[OLD] = old  # type: ignore[assignment]
    witness._act(decisions.Fence(OLD, NEW, "it is back"))
    assert old.sent == [
        f"CLIENT PAUSE {decisions.HOLD_SECONDS * 1000:.0f} WRITE",
        f"REPLICAOF {NEW.host} {NEW.port}",
        "CONFIG REWRITE",
        "CLIENT UNPAUSE",
    ]


@pytest.mark.parametrize("answer", [Refusal("LOADING Redis is loading"), None])
def test_an_old_master_that_does_not_follow_stays_paused(witness: Witness, answer: Any) -> None:
    old = Peer(OLD, {"REPLICAOF": answer})
    witness._nodes[OLD] = old  # type: ignore[assignment]
    witness._act(decisions.Fence(OLD, NEW, "it is back"))
    assert [words.split()[0] for words in old.sent] == ["CLIENT", "REPLICAOF"]


def test_a_look_asks_for_nothing_but_how_the_sentinel_is(witness: Witness) -> None:
    sentinel = Peer(SENTINEL)
    witness._sentinels[SENTINEL] = sentinel  # type: ignore[assignment]
    witness._act(decisions.Look(SENTINEL, 1.0))
    assert sentinel.sent == ["INFO sentinel"]


@pytest.mark.parametrize(
    ("answer", "unfit"),
    [
        ("# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:0\r\n", ""),
        ("# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:1\r\n", "it is in TILT mode"),
        (Refusal("NOPERM User witness has no permissions to run the 'info' command"), ""),
        (None, "the connection ended"),
    ],
)
def test_a_look_finds_who_is_fit_to_be_asked(witness: Witness, answer: Any, unfit: str) -> None:
    look = decisions.Look(SENTINEL, 1.0)
    death = Death(OLD, "run-1", 1)
    witness._core.case = Case(death, "history", 0.5, nonce="n", nonce_at=0.5, look=look)
    witness._sentinels[SENTINEL] = Peer(SENTINEL, {"INFO": answer})  # type: ignore[assignment]
    witness._act(look)
    assert witness._core.case.unfit == unfit


def test_a_refusal_is_said_once_until_the_connection_opens_anew(witness: Witness, log: Log) -> None:
    node = Peer(OLD, {"INFO": Refusal("NOPERM info")})
    witness._nodes[OLD] = node  # type: ignore[assignment]
    for _ in range(3):
        witness._ask_how_it_is(node)  # type: ignore[arg-type]
    assert refused(log) == ["NOPERM info"]
    node.answers["INFO"] = Refusal("NOPERM other")
    for _ in range(3):
        witness._ask_how_it_is(node)  # type: ignore[arg-type]
    assert refused(log) == ["NOPERM info", "NOPERM other"]
    node.news.append(News.OPENED)
    witness._take_news(time.monotonic())
    witness._ask_how_it_is(node)  # type: ignore[arg-type]
    assert refused(log) == ["NOPERM info", "NOPERM other", "NOPERM other"]


def test_who_lets_us_in_and_then_not_again_is_named_again(witness: Witness, log: Log) -> None:
    node = Peer(OLD)
    node.problem = "WRONGPASS"
    witness._nodes[OLD] = node  # type: ignore[assignment]
    for news in (News.KNOCKED, News.KNOCKED, News.OPENED, News.KNOCKED):
        node.news.append(news)
        witness._take_news(time.monotonic())
    assert [event for event, _ in log.said] == ["not-let-in", "not-let-in"]
