"""From an entry of a log to what it says about the cluster; None of most of them.

Sentinel's events: https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/, section
"Sentinel Pub/Sub messages", and sentinel.c; ours: docs/LOGS.md.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from redis_ha.logs.entry import PLAIN, Entry

_INSTANCE = re.compile(
    r"(?:master|slave|sentinel) \S+ (?P<ip>\S+) (?P<port>\d{1,5})"
    r"(?: @ \S+ (?P<master_ip>\S+) (?P<master_port>\d{1,5}))?(?: (?P<rest>.*))?"
)
_SWITCH = re.compile(r"\S+ (\S+) (\d{1,5}) (\S+) (\d{1,5})")
_ORDERED = re.compile(r"Executing user requested FAILOVER of '(.*)'")
_ROLE = re.compile(
    r"(?:(?P<master>MASTER MODE)|REPLICAOF (?P<of>\S+)) enabled \(user request from '(?P<who>.*)'\)"
)
_CLIENT = re.compile(r"(\S+?)=(\S*)")
ABORTED = "-failover-abort"
# Of Sentinel's events, those of a member that change something.
_SENTINELS = frozenset(
    {
        *("+sdown", "-sdown", "+odown", "-odown", "+try-failover", "+elected-leader"),
        *("+selected-slave", "+promoted-slave", "+failover-end", "+failover-end-for-timeout"),
        *("+convert-to-slave", "+set"),
    }
)
_WORKERS = frozenset(
    {
        *("snapshot-taken", "snapshot-not-proven", "round-failed", "log-gap", "log-stopped"),
        *("spool-full", "lease-claimed", "lease-lost", "restore-interrupted"),
    }
)
_GUARDS = frozenset(
    {
        *("server-died", "handing-over", "handed-over", "no-handover", "handover-broken-off"),
        *("failover-requested", "starting", "stopping-server", "killing-server", "witness-died"),
    }
)
_WITNESSES = frozenset(
    {
        *("death-seen", "death-withdrawn", "asking-for-failover", "failover-answered"),
        *("holding-old-master", "fencing-old-master", "not-let-in"),
    }
)


@dataclass(frozen=True)
class Happening:
    """What `node` says of `about`, an address host:port or a node's name; "" the cluster.

    `new` is the address of a new master, or that a node was told to follow; `by` the ACL user who
    told it; `is_master` whether it is about the master as Sentinel knows it.
    """

    time: datetime
    kind: str
    node: str
    about: str = ""
    detail: str = ""
    new: str = ""
    by: str = ""
    is_master: bool = False


def read(entry: Entry) -> Happening | None:
    """Read an entry."""
    readers = {"sentinel": _sentinel, "redis": _redis}
    return readers.get(entry.component, _ours)(entry)


def _sentinel(entry: Entry) -> Happening | None:
    said = entry.message
    match entry.event:
        case "+switch-master":
            return _switch(entry)
        case "+vote-for-leader" | "+tilt" | "-tilt":
            return Happening(entry.time, entry.event, entry.node, detail=said)
        case _ if entry.event == PLAIN and (ordered := _ORDERED.fullmatch(said)):
            return Happening(entry.time, "failover-ordered", entry.node, detail=ordered[1])
        case _ if entry.event in _SENTINELS or entry.event.startswith(ABORTED):
            return _of_member(entry)
    return None


def _of_member(entry: Entry) -> Happening | None:
    match = _INSTANCE.fullmatch(entry.message)
    if match is None:
        return None
    return Happening(
        entry.time,
        entry.event,
        entry.node,
        about=f"{match['ip']}:{match['port']}",
        detail=match["rest"] or "",
        is_master=entry.message.startswith("master "),
    )


def _switch(entry: Entry) -> Happening | None:
    match = _SWITCH.fullmatch(entry.message)
    if match is None:
        return None
    old, new = f"{match[1]}:{match[2]}", f"{match[3]}:{match[4]}"
    return Happening(entry.time, entry.event, entry.node, old, new=new, is_master=True)


def _redis(entry: Entry) -> Happening | None:
    """A server that was told its role says by whom: what CLIENT LIST has of that connection."""
    match = _ROLE.fullmatch(entry.message) if entry.event == PLAIN else None
    if match is None:
        return None
    who = dict(_CLIENT.findall(match["who"]))
    return Happening(
        entry.time,
        "master-mode" if match["master"] else "replica-of",
        entry.node,
        about=who.get("laddr", entry.node),
        new=match["of"] or "",
        by=who.get("user") or who.get("name", ""),
    )


def _ours(entry: Entry) -> Happening | None:
    for kinds, reader in _READERS.items():
        if entry.event in kinds:
            about, detail = reader(entry.node, entry.fields)
            return Happening(entry.time, entry.event, entry.node, about, detail)
    return None


def _witness(_node: str, fields: Mapping[str, object]) -> tuple[str, str]:
    about = str(fields.get("master") or fields.get("old") or fields.get("by") or "")
    words = [f"{name} {fields[name]}" for name in ("sentinel", "answer") if name in fields]
    why = str(fields.get("reason") or fields.get("text") or "")
    return about, ", ".join([*words, why] if why else words)


def _guard(node: str, fields: Mapping[str, object]) -> tuple[str, str]:
    shown = ("role", "to", "gap_seconds", "exit_code", "sentinel", "answer", "reason")
    return node, ", ".join(f"{k} {fields[k]}" for k in shown if fields.get(k) not in (None, ""))


def _worker(node: str, fields: Mapping[str, object]) -> tuple[str, str]:
    shown = ("snapshot", "proven", "reason", "error", "term")
    return node, ", ".join(f"{k} {fields[k]}" for k in shown if k in fields)


_READERS: Mapping[frozenset[str], Callable[[str, Mapping[str, object]], tuple[str, str]]] = {
    _WITNESSES: _witness,
    _GUARDS: _guard,
    _WORKERS: _worker,
}
