"""Watches the replica that the log is read from: its link may live on though its role changed."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import redis

from backup_worker.clock import steady_clock
from redis_ha.connection import Address
from redis_ha.discovery import Access, ask_sentinels, majority_master, one_line

_ASK_SECONDS = 0.75
_ASK_TIMEOUT = 0.75
# A node whose stream came so lately (s) is only slow to answer: leaving it could cost a gap.
_HEARD_SECONDS = 2.0
# The sentinels are asked at each such time: it takes a TLS handshake with each of them.
_SENTINELS_EVERY = 10
# A single bad answer may be a hiccup, or a failover that the node is just told of.
_PATIENCE = 2


class SourceWatch:
    """A thread that asks `source` for its ROLE again and again while in the `with` block.

    `problem` says why to leave the source, empty while there is no reason to; `offset` is how far
    (bytes) the source has come.
    """

    def __init__(self, access: Access, source: Address) -> None:
        self._access = access
        self._source = source
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-watch", daemon=True)
        self._doubts = 0
        self.problem = ""
        self.offset = 0
        self._heard = steady_clock()

    @property
    def source(self) -> Address:
        """The node that is watched."""
        return self._source

    def heard(self, now: float) -> None:
        """Note that the source's stream brought something at `now` (s, steady)."""
        self._heard = now

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()

    def _run(self) -> None:
        with self._access.connect(self._source, timeout=_ASK_TIMEOUT) as client:
            asked = 0
            while not self._stop.wait(_ASK_SECONDS):
                asked += 1
                doubt, final = self._ask(client, sentinels=asked % _SENTINELS_EVERY == 0)
                self._doubts = self._doubts + 1 if doubt else 0
                if final or self._doubts >= _PATIENCE:
                    self.problem = doubt

    def _ask(self, client: redis.Redis, *, sentinels: bool) -> tuple[str, bool]:
        try:
            role: Sequence[object] = client.execute_command("ROLE")  # type: ignore[no-untyped-call]
        except (redis.RedisError, OSError) as error:
            with suppress(redis.RedisError, OSError):
                client.connection_pool.disconnect()
            if steady_clock() - self._heard < _HEARD_SECONDS:
                return "", False
            return f"{self._source} does not answer ({one_line(error)})", False
        doubt, final = judge(role)
        if not final:
            self.offset = int(str(role[4]))
        # Once in doubt, the sentinels are asked each time: they decide.
        if not doubt and (sentinels or self._doubts):
            doubt = disowned(role, majority_master(ask_sentinels(self._access)))
        return doubt, final


def judge(role: Sequence[object]) -> tuple[str, bool]:
    """Say what speaks against a source by its ROLE, and whether that is final. Source: ROLE."""
    if str(role[0]) != "slave":
        return "it was promoted", True
    if str(role[3]) != "connected":
        return f"its link to the master is: {role[3]}", False
    return "", False


def disowned(role: Sequence[object], master: Address | None) -> str:
    """Say whether a replica follows another node than the one the sentinels' majority names."""
    follows = Address(str(role[1]), int(str(role[2])))
    if master is None or follows == master:
        return ""
    return f"it follows {follows}, the sentinels name {master}"
