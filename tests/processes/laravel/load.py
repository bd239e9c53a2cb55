"""All that an application does on Redis at once, beside stock Laravel, before and after a fault."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import redis

from redis_ha.connection import Address
from tests.processes.laravel.application import Actor, Application, gap

T = TypeVar("T")
WRITERS = 4
# Writes/s that the load must reach before the fault, for two seconds; and how long it may take (s).
RATE, RATED_SECONDS, RATED_WITHIN = 150, 2.0, 40.0
# Longer than a busy machine may take from the start of the first part to the fault (s).
LIFE_SECONDS = 150.0


@dataclass
class Load:
    """Writers, a queue with its worker, a blocking pop, and a stock writer.

    They go on for so many seconds after the fault.
    """

    application: Application
    seconds: float
    writers: list[Actor]
    stock: Actor
    worker: Actor
    dispatcher: Actor
    pop: Actor
    appender: Actor
    # The fault, by the clock of the acknowledgements.
    began: float = 0.0
    inflicted: float = 0.0

    @classmethod
    def on(cls, application: Application, seconds: float, *, master: Address) -> "Load":
        """Start it, and return when every part of it has written and all are at full speed."""
        act, life = application.act, seconds + LIFE_SECONDS
        load = cls(
            application,
            seconds,
            writers=[act("write", life, f"{n}") for n in range(WRITERS)],
            stock=application.stock(life, "stock", at=master),
            worker=application.artisan_running("queue:work", "--sleep=0", "--tries=3"),
            dispatcher=act("dispatch", life),
            pop=act("pop", life + 60),
            appender=act("append", life),
        )
        for actor in load.parts:
            application.wait_for(lambda actor=actor: bool(actor.acknowledged))  # type: ignore[misc]
        application.wait_for(lambda: load.rate >= RATE, RATED_WITHIN)
        return load

    @property
    def rate(self) -> float:
        """Return the acknowledged writes/s of the last seconds."""
        since = time.time() - RATED_SECONDS
        written = sum(a["at"] > since for writer in self.writers for a in writer.acknowledged)
        return written / RATED_SECONDS

    @property
    def parts(self) -> list[Actor]:
        """Return those that say what they did."""
        return [*self.writers, self.stock, self.dispatcher, self.appender]

    def hurt(self, fault: Callable[[], T]) -> T:
        """Inflict the fault and note when; return what it does."""
        self.began = time.time()
        done = fault()
        self.inflicted = time.time()
        return done

    def end(self) -> None:
        """Let it go on for its seconds after the fault."""
        time.sleep(max(0.0, self.inflicted + self.seconds - time.time()))
        for actor in self.parts:
            actor.end()

    def went_on(self, *, most: float) -> float:
        """Check that writes went on after `most` s and nothing was stuck; return the outage (s)."""
        outage = gap(self.writers)
        assert outage <= most, [w.failures for w in self.writers]
        for actor in (*self.writers, self.appender, self.dispatcher):
            assert actor.acknowledged[-1]["at"] > self.began + outage + 2, "stuck"
            assert len(actor.failures) <= 1, actor.failures
        assert self.worker.process.poll() is None, "the queue worker ended"
        assert "redis-ha: master changed" in self.application.log
        return outage

    def stock_did_not(self) -> float:
        """Check that stock Laravel wrote no more; return when it last did (s after the fault)."""
        last = max(a["at"] for a in self.stock.acknowledged)
        assert last < self.inflicted + 8, "stock recovered"
        assert self.stock.failures
        return last - self.began

    def settle(self, client: redis.Redis) -> tuple[int, int]:
        """Check what is on the new master; return lost and written facade keys."""
        names = [f"test:w:{n}:{a['n']}" for n, w in enumerate(self.writers) for a in w.acknowledged]
        facade = [name for name in names if int(name.rsplit(":", 1)[1]) % 2 == 0]
        lost = sum(value is None for value in client.mget(facade))
        appended = Counter(client.lrange("test:a:0", 0, -1))
        assert max(appended.values()) == 1, "a write was made twice"
        dispatched = len(self.dispatcher.acknowledged) - 1
        self.application.wait_for(lambda: len(self.application.jobs_done) >= dispatched)
        client.rpush("test:pop", "late")
        self.application.wait_for(lambda: bool(self.pop.lines))
        assert self.pop.lines[0]["value"] == ["test:pop", "late"]
        return lost, len(facade)
