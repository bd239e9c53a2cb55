"""The witness's loop: sockets and time in, the core's decisions carried out."""

import secrets
import selectors
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from redis_ha.connection import Address, Credentials
from redis_ha.discovery import parse_replication, parse_sentinel
from redis_ha.failover_request import Answer, answer_to_refusal
from redis_ha.witness import channels, decisions
from redis_ha.witness.core import Core, Grant
from redis_ha.witness.evidence import (
    Answered,
    Closed,
    Contact,
    Event,
    Evidence,
    Heard,
    Knocked,
    Looked,
    Opened,
    Reported,
    SentinelReported,
    Silent,
    Unreachable,
)
from redis_ha.witness.link import Link, Login, News, take
from redis_ha.witness.record import EVENTS, fields_of, recorded
from redis_ha.witness.report import ANSWER_SECONDS, Report, is_question, written
from redis_ha.witness.resp import Push, Refusal
from redis_ha.witness.rules import Surroundings
from redis_ha.witness.status import NOT_LET_IN, Status, at_rest
from redis_ha.witness.vote import read, sign

if TYPE_CHECKING:
    import socket

# How often (s) everybody is asked how they are: while nothing happens, in the first second after
# a loss, and some seconds more.
_IDLE_SECONDS, _HASTY_SECONDS, _ALERT_SECONDS = 1.0, 0.02, 0.1
_HASTY_FOR_SECONDS, _ALERT_FOR_SECONDS = 1.0, 5.0
_STATUS_SECONDS = 5.0
_EVENTS: Mapping[News, Callable[[Address], Event]] = {
    News.OPENED: Opened,
    News.CLOSED: Closed,
    News.SILENT: Silent,
    News.UNREACHABLE: Unreachable,
    News.KNOCKED: Knocked,
}


class Log(Protocol):
    """Where events go, with their fields."""

    def info(self, event: str, **fields: Any) -> None: ...

    def warning(self, event: str, **fields: Any) -> None: ...


@dataclass(frozen=True)
class WitnessSettings:
    """One witness: `number` counts from 1, in the order of the sentinels; `down_after` in s."""

    number: int
    data_nodes: tuple[Address, ...]
    sentinels: tuple[Address, ...]
    master_name: str
    credentials: Credentials
    ca: Path
    down_after: float
    status_file: Path

    @property
    def login(self) -> Login:
        return Login(self.credentials, self.ca, f"witness-{self.number}")


class Witness:
    """Watches the data nodes until `stop` says so; made once per process."""

    def __init__(self, settings: WitnessSettings, log: Log) -> None:
        now = time.monotonic()
        self._settings = settings
        self._log = log
        self._status = Status()
        self._nodes = {a: Link(a, settings.login, now=now) for a in settings.data_nodes}
        self._sentinels = {a: Link(a, settings.login, now=now) for a in settings.sentinels}
        self._core = _make_core(settings, now)
        self._selector = selectors.DefaultSelector()
        self._registered: dict[Link, tuple[socket.socket, bool]] = {}
        # Why somebody doesn't let us in, so that it is said once and not each second ...
        self._said: dict[Link, str] = {}
        # ... and what it refused since it did.
        self._refusals: dict[Address, set[str]] = {}
        self._answered_at: dict[Link, float] = {}
        self._poll_at = self._sentinels_at = now
        self._lost_at = self._died_at = now
        self._status_at = now

    def run(self, stop: Callable[[], bool]) -> None:
        """Watch; `stop` is asked about once a second."""
        while not stop():
            self.turn()

    def turn(self) -> None:
        """Wait for the next event or deadline and act on it."""
        self._register()
        now = time.monotonic()
        unread = {link for link in self._links if link.unread}
        due = now if unread else min(self._poll_at, *(link.deadline for link in self._links))
        ready = {key.data for key, _ in self._selector.select(max(0.0, due - now))}
        for link in ready | unread:
            link.on_ready(time.monotonic())
        now = time.monotonic()
        for link in self._links:
            link.on_time(now)
        self._take_news(now)
        for decision in self._core.decide(now):
            self._act(decision)
        self._poll(now)
        for link in self._links:
            if link.wants_write and link.is_open:
                link.on_ready(now)
        self._report(now)

    @property
    def _links(self) -> list[Link]:
        return [*self._nodes.values(), *self._sentinels.values()]

    def _register(self) -> None:
        """Keep the selector's view of the links' sockets and wishes up to date."""
        wanted = {
            link: (link.socket, link.wants_write) for link in self._links if link.socket is not None
        }
        # First those that go: a new socket may have got the descriptor of a closed one.
        for link, known in list(self._registered.items()):
            if wanted.get(link) != known:
                self._selector.unregister(known[0])
                del self._registered[link]
        for link, (sock, write) in wanted.items():
            if link not in self._registered:
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if write else 0)
                self._selector.register(sock, events, link)
                self._registered[link] = (sock, write)

    def _take_news(self, now: float) -> None:
        for address, link in self._nodes.items():
            for news in take(link.news):
                self._connection_changed(link, news, now)
                self._core.note(_EVENTS[news](address), now)
            for push in take(link.pushed):
                self._pushed(link, push, now)
        for link in self._sentinels.values():
            for news in take(link.news):
                self._connection_changed(link, news, now)

    def _connection_changed(self, link: Link, news: News, now: float) -> None:
        if news is News.OPENED:
            self._said.pop(link, None)
            self._refusals.pop(link.address, None)
            if link.address in self._nodes:
                # Apart: where the second is not allowed the first must still do.
                for channel in (channels.VOTES, channels.QUESTIONS):
                    link.send("SUBSCRIBE", channel, replies=0)
            # Everybody, so that what an old master says is compared with the others' present.
            self._poll_at = now
        elif news in (News.CLOSED, News.SILENT):
            self._log.info("connection-lost", to=str(link.address), reason=link.problem)
            self._lost_at, self._poll_at = now, now
        elif news is News.KNOCKED and self._said.get(link) != link.problem:
            self._log.warning("not-let-in", by=str(link.address), reason=link.problem)
            self._said[link] = link.problem

    def _pushed(self, link: Link, push: Push, now: float) -> None:
        match push.items:
            case ("message", channels.VOTES, message):
                self._voted(message, now)
            case ("message", channels.QUESTIONS, question) if is_question(question):
                self._answer(link, question, now)
            case ("message", _, _):
                self._status = self._status.with_one_more("rejected")

    def _voted(self, message: object, now: float) -> None:
        vote = read(message, self._settings.credentials.password)
        if vote is None:
            self._status = self._status.with_one_more("rejected")
        elif vote.number != self._settings.number:
            self._core.note(Heard(vote), now)

    def _answer(self, link: Link, question: str, now: float) -> None:
        """Say how this witness is, to who asks over this connection."""
        if now - self._answered_at.get(link, float("-inf")) < ANSWER_SECONDS:
            return
        self._answered_at[link] = now
        report = Report(self._settings.number, self._status_now(now))
        link.send("PUBLISH", channels.ANSWERS, written(report, question))

    def _poll(self, now: float) -> None:
        if now < self._poll_at:
            return
        self._poll_at = now + self._period(now)
        links = list(self._nodes.values())
        # Once one was asked, the nodes show the promotion first.
        if not self._core.asked or now - self._sentinels_at >= _ALERT_SECONDS:
            self._sentinels_at = now
            links += self._sentinels.values()
        for link in links:
            if link.idle:
                self._ask_how_it_is(link)

    def _period(self, now: float) -> float:
        """Hurry only where something may have to be done: the machine has a failover to do."""
        ago = now - self._lost_at
        if ago < _HASTY_FOR_SECONDS and not self._core.waits_for_another(now):
            return _HASTY_SECONDS
        alert = ago < _ALERT_FOR_SECONDS or self._core.case is not None
        return _ALERT_SECONDS if alert else _IDLE_SECONDS

    def _ask_how_it_is(self, link: Link) -> None:
        if link.address in self._nodes:
            link.send(
                *("INFO", "server", "persistence", "replication"),
                on_reply=lambda reply: self._node_said(link.address, reply),
            )
        else:
            link.send(
                *("SENTINEL", "MASTER", self._settings.master_name),
                on_reply=lambda reply: self._sentinel_said(link.address, reply),
            )

    def _node_said(self, address: Address, reply: Any) -> None:
        if not isinstance(reply, str):
            self._complain(address, reply)
            return
        info = dict(line.split(":", 1) for line in reply.splitlines() if ":" in line)
        try:
            view = parse_replication(address, info)
            event = Reported(view, int(info.get("slave_priority", 100)))
        except (KeyError, ValueError) as error:
            self._log.warning("not-understood", said_by=str(address), reason=repr(error))
            return
        self._core.note(event, time.monotonic())

    def _sentinel_said(self, address: Address, reply: Any) -> None:
        if not isinstance(reply, dict):
            self._complain(address, reply)
            return
        try:
            silence = int(reply["last-ok-ping-reply"]) / 1000
            event = SentinelReported(parse_sentinel(address, reply), silence)
        except (KeyError, ValueError) as error:
            self._log.warning("not-understood", said_by=str(address), reason=repr(error))
            return
        self._core.note(event, time.monotonic())

    def _complain(self, address: Address, reply: Any) -> None:
        if not isinstance(reply, Refusal):
            return
        said = self._refusals.setdefault(address, set())
        if reply.text not in said:
            said.add(reply.text)
            self._log.warning("command-refused", by=str(address), reason=reply.text)

    def _act(self, decision: decisions.Decision) -> None:
        match decision:
            case decisions.Say(vote):
                self._publish(sign(vote, self._settings.credentials.password))
                return
            case decisions.Look():
                self._look(decision)
                return
            case decisions.PassOver(sentinel, reason):
                self._log.warning("sentinel-passed-over", sentinel=str(sentinel), reason=reason)
                return
            case decisions.Ask():
                self._ask(decision)
            case decisions.Lead(replica, new):
                self._lead(self._nodes[replica], new)
            case decisions.Hold(old):
                pause = str(int(decisions.HOLD_SECONDS * 1000))
                self._nodes[old].send("CLIENT", "PAUSE", pause, "WRITE")
            case decisions.Fence(old, new):
                self._fence(self._nodes[old], new)
            case _:
                pass
        if isinstance(decision, decisions.Verdict):
            self._died_at = decision.since
        ago = time.monotonic() - self._died_at
        self._status = recorded(self._status, decision, ago=ago, wall=time.time())
        self._tell(decision)

    def _publish(self, message: str) -> None:
        for link in self._nodes.values():
            link.send("PUBLISH", channels.VOTES, message)

    def _look(self, look: decisions.Look) -> None:
        def looked(reply: Any) -> None:
            # A Refusal is no problem: not every user that may ask for a failover may look.
            problem = "the connection ended" if reply is None else ""
            if isinstance(reply, str) and "sentinel_tilt:1" in reply:
                problem = "it is in TILT mode"
            self._core.note(Looked(look.sentinel, look.at, problem), time.monotonic())

        if not self._sentinels[look.sentinel].send("INFO", "sentinel", on_reply=looked):
            looked(None)

    def _ask(self, ask: decisions.Ask) -> None:
        def answered(reply: Any) -> None:
            if reply is None:
                self._answered(ask, "vanished", "the connection ended")
            elif isinstance(reply, Refusal):
                self._answered(ask, answer_to_refusal(reply.text), reply.text)
            else:
                self._answered(ask, "accepted")

        link = self._sentinels[ask.sentinel]
        if not link.send("SENTINEL", "FAILOVER", self._settings.master_name, on_reply=answered):
            self._answered(ask, "refused", "not connected")

    def _answered(self, ask: decisions.Ask, answer: Answer, text: str = "") -> None:
        if answer == "accepted":
            self._status = self._status.with_one_more("accepted")
        self._log.warning("failover-answered", sentinel=str(ask.sentinel), answer=answer, text=text)
        self._core.note(Answered(ask.sentinel, ask.at, answer, text), time.monotonic())

    def _lead(self, replica: Link, new: Address) -> None:
        def answered(reply: Any) -> None:
            self._complain(replica.address, reply)

        replica.send("REPLICAOF", new.host, str(new.port), on_reply=answered)

    def _fence(self, old: Link, new: Address) -> None:
        def answered(reply: Any) -> None:
            self._complain(old.address, reply)

        pause = str(int(decisions.HOLD_SECONDS * 1000))
        old.send("CLIENT", "PAUSE", pause, "WRITE", on_reply=answered)

        def follows(reply: Any) -> None:
            answered(reply)
            # Refused, as while it loads: let the pause run, it is fenced again before its end.
            if isinstance(reply, str) and reply.startswith("OK"):
                old.send("CONFIG", "REWRITE", on_reply=answered)
                old.send("CLIENT", "UNPAUSE", on_reply=answered)

        old.send("REPLICAOF", new.host, str(new.port), on_reply=follows)

    def _tell(self, decision: decisions.Decision) -> None:
        self._log.warning(EVENTS[type(decision)], **fields_of(decision))
        self._status_at = 0.0

    def _report(self, now: float) -> None:
        if now < self._status_at:
            return
        self._status_at = now + _STATUS_SECONDS
        self._status = self._status_now(now)
        # Whoever reads it sees its age; a full disk must not end the watch.
        with suppress(OSError):
            self._status.write(self._settings.status_file)

    def _status_now(self, now: float) -> Status:
        master = self._core.evidence.master(now)
        nodes, sentinels = _problems(self._nodes), _problems(self._sentinels)
        lost = tuple(f"{name}: {text}" for name, text in {**nodes, **sentinels}.items() if text)
        status = replace(self._status, master=str(master or ""), unreachable=lost)
        if self._core.case is not None:
            return status
        state, reason = at_rest(status.master, nodes, sentinels)
        # What it did last stays to be read, what has kept it from watching doesn't.
        before = "" if status.state == NOT_LET_IN else status.reason
        return replace(status, state=state, reason=reason or before)


def _problems(links: Mapping[Address, Link]) -> dict[str, str]:
    """Say by address why somebody isn't connected; empty where it is."""
    return {
        str(address): "" if link.is_open else link.problem or "not connected yet"
        for address, link in links.items()
    }


def _make_core(settings: WitnessSettings, now: float) -> Core:
    numbers = range(1, len(settings.sentinels) + 1)
    last = 0

    def stamp() -> int:
        nonlocal last
        last = max(last + 1, time.time_ns())
        return last

    return Core(
        Surroundings(settings.number, frozenset(numbers), settings.down_after),
        Evidence(
            nodes={address: Contact() for address in settings.data_nodes},
            sentinels=dict.fromkeys(settings.sentinels),
        ),
        nonces=lambda: secrets.token_hex(8),
        stamps=stamp,
        grant=Grant(0, None, now),
    )
