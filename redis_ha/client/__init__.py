"""Clients that survive a failover: `Client` for threads, `AsyncClient` for asyncio."""

from redis_ha.client.asynchronous import AsyncClient
from redis_ha.client.threaded import Client

__all__ = ["AsyncClient", "Client"]
