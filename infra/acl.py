"""Who may do what: the ACL users of data nodes and sentinels, each with the least it needs.

The rule sets of sentinel, sentinel-peer, replica, exporter and backup were run against stock
Redis 7.0 and 8.0 with a clean `ACL LOG`. Passwords reach a file only as their SHA-256.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

ASK_SENTINEL = (
    "resetkeys resetchannels -@all +auth +client|getname +client|id +client|setname +command "
    "+hello +ping +role +sentinel|get-master-addr-by-name +sentinel|master +sentinel|masters "
    "+sentinel|myid +sentinel|replicas +sentinel|sentinels +sentinel|slaves"
)
EVERYTHING = "~* &* +@all"
_ASK_WITNESSES = "&__redis-ha__:witness:asked &__redis-ha__:witness:told"


@dataclass(frozen=True)
class AclUser:
    """One user: its rules on data nodes and on sentinels, None where it does not exist."""

    name: str
    data: str | None = None
    sentinel: str | None = None


USERS: tuple[AclUser, ...] = (
    AclUser(
        "app",
        # Laravel's Cache::flush sends FLUSHDB; clients ask ROLE and INFO to find the master.
        data="~* &* +@all -@admin -@dangerous +info +role +keys +sort +sort_ro +flushdb",
        sentinel=ASK_SENTINEL,
    ),
    AclUser(
        "app-readonly",
        data="%R~* &* -@all +@read +@connection +@pubsub +@transaction -@admin -@dangerous "
        "-publish -spublish +info +role +time +keys +sort_ro +eval_ro +evalsha_ro +fcall_ro "
        "+script|load +script|exists",
    ),
    AclUser(
        "sentinel",
        data="resetkeys resetchannels &__sentinel__:hello -@all +multi +exec +slaveof +ping "
        "+subscribe +publish +info +config|rewrite +client|setname +client|kill +script|kill",
    ),
    AclUser(
        "sentinel-peer",
        # With the application's rules in their place an automatic failover silently never happens.
        sentinel="resetkeys resetchannels &__sentinel__:hello -@all +ping +publish "
        "+client|setname +sentinel|is-master-down-by-addr",
    ),
    AclUser("replica", data="resetkeys resetchannels -@all +psync +replconf +ping"),
    AclUser(
        "exporter",
        # It asks the witnesses how they are, and by a dry run what a failover needs (`ready`).
        data=f"resetkeys resetchannels {_ASK_WITNESSES} -@all +subscribe +publish +ping +info "
        "+select +client|setname +client|list +config|get +slowlog|len +slowlog|get "
        "+latency|latest +latency|histogram +cluster|info +time +pubsub|numsub +acl|log "
        "+acl|getuser +acl|dryrun",
        sentinel="resetkeys resetchannels -@all +ping +info +client|setname +sentinel|masters "
        "+sentinel|master +sentinel|replicas +sentinel|slaves +sentinel|sentinels "
        "+sentinel|myid +sentinel|ckquorum +acl|log +acl|getuser +acl|dryrun",
    ),
    AclUser(
        "backup",
        data="resetkeys resetchannels -@all +ping +info +role +psync +sync +replconf "
        "+client|setname +config|get +acl|list",
        sentinel=f"{ASK_SENTINEL} +acl|list",
    ),
    AclUser(
        "node",
        # It lists and kills connections to find who else hands the mastership over; its own node
        # it makes follow a dead master's successor, and write its log anew after a full disk; its
        # own sentinel's timers it sets.
        data="resetkeys resetchannels -@all +multi +exec +ping +info +role +client|setname "
        "+client|list +client|kill +client|pause +client|unpause +replicaof +bgrewriteaof",
        sentinel=f"{ASK_SENTINEL} +sentinel|failover +sentinel|ckquorum +sentinel|debug +info",
    ),
    AclUser(
        "witness",
        # It may make a data node follow another: an old master beside its successor.
        data=f"resetkeys resetchannels &__redis-ha__:witness {_ASK_WITNESSES} -@all +subscribe "
        "+publish +info +client|pause +client|unpause +replicaof +config|rewrite",
        sentinel="resetkeys resetchannels -@all +info +sentinel|master +sentinel|failover",
    ),
    AclUser("operator", data=EVERYTHING, sentinel=EVERYTHING),
)
# Redis loads its append-only file as the default user. Without permissions EXEC skips each
# transaction's commands there, and says nothing: a restart would lose them (multi.c, execCommand).
DEFAULT_USER = {
    "data": "user default off resetpass ~* &* +@all",
    "sentinel": "user default off resetpass resetkeys resetchannels -@all",
}
USER_NAMES: tuple[str, ...] = tuple(user.name for user in USERS)


def also(user: str) -> str:
    """Give the key under which a mapping holds a user's second password, which is accepted too."""
    return f"{user}+"


def render_users(side: Literal["data", "sentinel"], passwords: Mapping[str, str]) -> str:
    """Write the ACL file of a data node or a sentinel; nobody can log in as the default user.

    `passwords` maps every user to its password in clear, and `also(user)` to a second one while
    passwords are rotated; the file holds hashes.
    """
    lines = [DEFAULT_USER[side]]
    for user in USERS:
        rules = user.data if side == "data" else user.sentinel
        if rules is not None:
            known = [passwords[name] for name in (user.name, also(user.name)) if name in passwords]
            hashes = " ".join(f"#{sha256(each.encode()).hexdigest()}" for each in known)
            lines.append(f"user {user.name} on {hashes} {rules}")
    return "\n".join([*lines, ""])
