"""What one witness tells the others, signed: an application may publish on any channel.

A vote counts only for the one process of the master that it names, and only for a witness whose
latest nonce it repeats: one that was recorded earlier proves nothing, whatever the clocks say.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from redis_ha.connection import Address

_MOST_CHARACTERS = 4096


@dataclass(frozen=True)
class Death:
    """One process of the master, at one place in the cluster's history."""

    master: Address
    run_id: str
    epoch: int


@dataclass(frozen=True)
class Vote:
    """Whether witness `number` holds that process for dead, and whom it lets ask for a failover.

    `stamp` grows with each vote of a witness; `heard` repeats the nonces of the other witnesses.
    """

    number: int
    death: Death
    dead: bool
    stamp: int
    nonce: str
    heard: Mapping[int, str] = field(default_factory=dict)
    granted: int | None = None


def sign(vote: Vote, secret: str) -> str:
    """Write a vote as a message."""
    body = json.dumps(asdict(vote), sort_keys=True, separators=(",", ":"))
    return f"{_mac(body, secret)} {body}"


def read(message: object, secret: str) -> Vote | None:
    """Read a message; None unless it is a well-formed vote, signed by who knows the secret."""
    if not isinstance(message, str) or len(message) > _MOST_CHARACTERS:
        return None
    mac, _, body = message.partition(" ")
    if not hmac.compare_digest(mac.encode(), _mac(body, secret).encode()):
        return None
    try:
        return _parse(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _parse(fields: Mapping[str, Any]) -> Vote:
    death, granted = fields["death"], fields["granted"]
    master = Address(str(death["master"]["host"]), int(death["master"]["port"]))
    return Vote(
        number=int(fields["number"]),
        death=Death(master, str(death["run_id"]), int(death["epoch"])),
        dead=fields["dead"] is True,
        stamp=int(fields["stamp"]),
        nonce=str(fields["nonce"]),
        heard={int(number): str(nonce) for number, nonce in fields["heard"].items()},
        granted=None if granted is None else int(granted),
    )


def _mac(body: str, secret: str) -> str:
    return hmac.new(f"redis-ha witness {secret}".encode(), body.encode(), "sha256").hexdigest()
