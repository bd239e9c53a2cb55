"""Calls of a client, one that runs in a thread of its own, and what a client holds open."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from redis_ha import AsyncClient, Client

# Calls that don't end by themselves in a test.
LONG = 120.0
# For what is a matter of moments (s), whatever else the machine does.
SOON = 30.0


async def aget(connection: Any) -> Any:
    return await connection.get("key")


def in_thread(work: Callable[[], Any]) -> "Future[Any]":
    """Do it in a thread that ends with it."""
    done: Future[Any] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 - whoever waits shall see it
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


def counts(client: Client | AsyncClient) -> tuple[int, int]:
    (found,) = client.connections().values()
    return found
