"""Until when a node's certificate is valid, as the node itself presents it."""

from pathlib import Path

from redis_ha.connection import Address, valid_until


def days_left(address: Address, *, ca: Path, timeout: float, now: float) -> float:
    """Return for how many days a node's certificate is still valid; `now` as time.time().

    Less than 0 for one that has expired. Raises OSError.
    """
    return (valid_until(address, ca=ca, timeout=timeout) - now) / 86_400
