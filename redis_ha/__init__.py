"""Redis high availability: clients that survive a failover, and what runs a cluster."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis_ha.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> Any:
    """Import the clients when they are first used: the other modules don't need asyncio's."""
    if name in __all__:
        import redis_ha.client as clients  # noqa: PLC0415

        return getattr(clients, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
