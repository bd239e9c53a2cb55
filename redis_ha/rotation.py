"""How passwords, certificates, the CA and the backup's keys are rotated. Pure.

A rotation is steps of one setting of the stack, each applied by a `pulumi up`. A setting `N+M`
means that N is used and M accepted besides. A step that needs something done outside of the
cluster first has a `gate` that says what.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from redis_ha.backup_report import Snapshot

Kind = Literal["users", "certs", "ca", "backup-key"]


@dataclass(frozen=True)
class Step:
    """One value of the setting, what it does, and what must have been done before."""

    value: str
    does: str
    gate: str = ""


SETTINGS: dict[Kind, str] = {
    "users": "passwordGeneration",
    "certs": "certificateGeneration",
    "ca": "authorityGeneration",
    "backup-key": "backupKeyGeneration",
}
_ADD, _USE, _DROP = "{old}+{new}", "{new}+{old}", "{new}"
_STEPS: dict[Kind, tuple[Step, ...]] = {
    "users": (
        Step(_ADD, "every user gets a second password, and nobody uses it yet"),
        Step(_USE, "the cluster and the stack's outputs use the new passwords"),
        Step(
            _DROP,
            "the old passwords are no longer accepted",
            gate="give the applications the new password (`redis-ha env`): both are accepted now",
        ),
    ),
    "certs": (Step(_DROP, "every node gets a new key and certificate, of the same CA"),),
    "ca": (
        Step(_ADD, "everybody trusts a second CA, which signs nothing yet"),
        Step(
            _USE,
            "the new CA signs all certificates, the old one is still trusted",
            gate="give the applications the CA file anew (the stack's output `ca`): it holds both",
        ),
        Step(_DROP, "the old CA is no longer trusted"),
    ),
    "backup-key": (
        Step(_USE, "new backups are for the new identity; the old opens the older ones"),
        Step(
            _DROP,
            "the stack forgets the old identity, and its signatures are no longer trusted",
            gate="wait until a backup for the new is proven, and no backup of before is left in "
            "the store or the old identity is saved",
        ),
    ),
}


def path_of(kind: Kind, value: str) -> list[Step]:
    """Give all steps of the rotation that this value starts or is in the middle of."""
    old, new = _span(value)
    return [
        Step(step.value.format(old=old, new=new), step.does, step.gate) for step in _STEPS[kind]
    ]


def remaining(kind: Kind, value: str) -> list[Step]:
    """Give the steps after this value."""
    path = path_of(kind, value)
    done = [number for number, step in enumerate(path) if step.value == value]
    return path[done[0] + 1 :] if done else path


def is_under_way(value: str) -> bool:
    """Say whether a rotation was begun and isn't finished."""
    return "+" in value


def to_do(kind: Kind, now: str, *, deployed: str, finish: bool) -> list[Step]:
    """Say which steps to take, up to the next gate; with `finish` no gate holds back.

    `now` is the setting, `deployed` what the last `up` made of it. The step of a rotation under
    way is taken again, for it may have been interrupted. With `finish` nothing new is begun.
    """
    under_way = is_under_way(now)
    path = path_of(kind, now if under_way else deployed)
    again = [step for step in path if step.value == now and (under_way or now != deployed)]
    if not under_way and (finish or again):
        return again
    return [*again, *takewhile(lambda step: finish or not step.gate, remaining(kind, now))]


def waiting_for(kind: Kind, now: str) -> str:
    """Say what a rotation under way waits for; empty when none does."""
    if not is_under_way(now):
        return ""
    return next((step.gate for step in remaining(kind, now)), "")


def drops_backup_key(kind: Kind, step: Step) -> bool:
    """Say whether a step takes the old identity, which is kept by the stack alone."""
    return kind == "backup-key" and not is_under_way(step.value)


def why_keep(snapshots: Sequence[Snapshot] | str, recipients: Collection[str]) -> str:
    """Say why the old identity is still needed; empty once the new ones open a proven snapshot."""
    if isinstance(snapshots, str):
        return f"which snapshots are proven isn't known: {snapshots}"
    opened = [one for one in snapshots if recipients and set(recipients) <= set(one.recipients)]
    if any(one.state == "proven" for one in opened):
        return ""
    new = ", ".join(recipients) or "the new identity"
    return f"of the {len(opened)} snapshots that {new} opens none is proven"


def _span(value: str) -> tuple[int, int]:
    """Read the old and the new number; one that stands alone is the old of the next rotation."""
    first, _, second = value.partition("+")
    if not second:
        return int(first), int(first) + 1
    # `1+2` is before the use of 2, `2+1` after it: the new number is the larger in both.
    return min(int(first), int(second)), max(int(first), int(second))
