"""A cluster's contents as files to read, and as differences from another state. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

from backup_worker.contents.document import DataNode, Document, SentinelNode

DIRECTORY_NAME = "cluster"
# What a sentinel says of a node's condition: it passes, and says nothing of how things are set up.
_PASSING = re.compile(
    r"last-|info-refresh|role-reported|link-|pending-|(s|o)-down-|slave-repl-offset"
    r"|replica-repl-offset|master-link-|voted-leader|is_|runid|flags|num-|name"
)
_ANSWER = "answer"


@dataclass(frozen=True)
class Difference:
    """One value that is not the same; None on the side that has no such thing."""

    place: str
    name: str
    before: str | None
    now: str | None


def files(document: Document) -> dict[str, bytes]:
    """Return readable files by their path below a restored directory.

    A configuration is one `name value` a line; users.acl holds the master's users, and a data
    node with others has a file of its own; a sentinel is JSON.
    """
    found: dict[str, bytes] = {}
    usual = next((node.users for node in document.data_nodes if not node.problem), ())
    found["users.acl"] = _lines(usual)
    for node in document.data_nodes:
        stem = f"redis-{_file_name(node.address)}"
        found[f"{stem}.conf"] = _configuration(node)
        if not node.problem and node.users != usual:
            found[f"{stem}.acl"] = _lines(node.users)
    for one in document.sentinels:
        text = json.dumps(asdict(one), indent=2, sort_keys=True) + "\n"
        found[f"sentinel-{_file_name(one.address)}.json"] = text.encode()
    return {f"{DIRECTORY_NAME}/{name}": content for name, content in found.items()}


def differences(before: Document, now: Document) -> list[Difference]:
    """Say what differs: settings and users of each node, and what each sentinel knows.

    A node's condition (times, offsets, flags) is left out; one that gave no answer on either side
    differs in that alone.
    """
    places, later = _places(before), _places(now)
    return [
        difference
        for place in sorted(places.keys() | later.keys())
        for difference in _between(place, places.get(place, {}), later.get(place, {}))
    ]


def _between(place: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Difference]:
    names = before.keys() | now.keys()
    if _ANSWER in names or not before or not now:
        names = {_ANSWER}
        before, now = (
            {_ANSWER: side.get(_ANSWER, "yes")} if side else {} for side in (before, now)
        )
    for name in sorted(names):
        if before.get(name) != now.get(name):
            yield Difference(place, name, before.get(name), now.get(name))


def _places(document: Document) -> dict[str, dict[str, str]]:
    nodes = {f"redis {node.address}": _node_values(node) for node in document.data_nodes}
    return nodes | {f"sentinel {one.address}": _sentinel_values(one) for one in document.sentinels}


def _node_values(node: DataNode) -> dict[str, str]:
    if node.problem:
        return {_ANSWER: node.problem}
    return {"role": node.role, "version": node.version, **node.config, **_users(node.users)}


def _sentinel_values(one: SentinelNode) -> dict[str, str]:
    if one.problem:
        return {_ANSWER: one.problem}
    rows = {"master": one.master}
    rows |= {f"replica {_name(row)}": row for row in one.replicas}
    rows |= {f"sentinel {_name(row)}": row for row in one.sentinels}
    values = {
        f"{thing} {name}": value
        for thing, row in rows.items()
        for name, value in row.items()
        if not _PASSING.match(name)
    }
    return values | _users(one.users)


def _users(users: Iterable[str]) -> dict[str, str]:
    """Return each user's rules by its name; a line of ACL LIST is `user NAME RULES`."""
    words = (line.split(" ", 2) for line in users)
    return {f"user {parts[1]}": parts[2] for parts in words if len(parts) == 3}


def _name(row: Mapping[str, str]) -> str:
    return f"{row.get('ip')}:{row.get('port')}"


def _file_name(address: str) -> str:
    return re.sub(r"[^0-9A-Za-z.]", "-", address)


def _configuration(node: DataNode) -> bytes:
    if node.problem:
        return _lines([f"# no answer: {node.problem}"])
    head = f"# {node.role}, {node.version}"
    return _lines([head, *(f"{name} {_quoted(value)}" for name, value in node.config.items())])


def _quoted(value: str) -> str:
    return json.dumps(value) if not value or re.search(r'["\\\x00-\x1f]', value) else value


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
