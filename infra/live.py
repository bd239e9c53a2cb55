"""What a running node takes from its changed files, and what only a new container has. Pure.

The node's agent (node.live) applies the former within seconds. A digest of the latter is a label
of the container: when it changes, the container is replaced.
"""

import json
from collections.abc import Mapping
from hashlib import sha256

from infra.acl import USER_NAMES
from infra.planner import Plan
from infra.rendering import node_files
from infra.topology import Node

MANIFEST = "manifest.json"
# redis.conf: what CONFIG SET changes in a running server of every engine.
LIVE_DIRECTIVES = frozenset(
    {
        *("maxmemory", "maxmemory-policy", "maxclients", "tcp-keepalive", "timeout"),
        *("hash-max-listpack-entries", "hash-max-listpack-value", "appendfsync", "save"),
        *("masteruser", "masterauth", "repl-backlog-size", "repl-diskless-sync-delay"),
        *("client-output-buffer-limit", "min-replicas-to-write", "min-replicas-max-lag"),
    }
)
# sentinel.conf: what SENTINEL SET and SENTINEL CONFIG SET change; of `monitor` the quorum alone.
LIVE_SENTINEL_DIRECTIVES = frozenset(
    {
        *("sentinel-user", "sentinel-pass", "auth-user", "auth-pass", "monitor"),
        *("down-after-milliseconds", "failover-timeout", "parallel-syncs"),
    }
)
LIVE_NODE_KEYS = frozenset(
    {
        *("username", "password", "witness", "quorum", "data_nodes", "sentinels"),
        *("handover_seconds", "stop_seconds"),
    }
)
DIGEST_DIGITS = 16


def fixed_text(plan: Plan, node: Node) -> str:
    """Give what of a node's files can't be changed while it runs; there is no secret in it."""
    none = dict.fromkeys(USER_NAMES, "")
    described, own, _users = node_files(plan, node, passwords=none).values()
    facts = {k: v for k, v in json.loads(described).items() if k not in LIVE_NODE_KEYS}
    lines = [line for line in own.splitlines() if line.strip() and not _live(line)]
    return "\n".join([json.dumps(facts, sort_keys=True), *lines])


def digest(*texts: str) -> str:
    """Tell contents apart; of the random passwords and keys among them it says nothing."""
    return sha256("\0".join(texts).encode()).hexdigest()[:DIGEST_DIGITS]


def manifest(files: Mapping[str, str]) -> str:
    """List the files with their SHA-256: a node uses them when all are there and whole."""
    listed = {name: sha256(text.encode()).hexdigest() for name, text in sorted(files.items())}
    return json.dumps(listed, indent=1) + "\n"


def _live(line: str) -> bool:
    name, *rest = line.split()
    if name.startswith("#"):
        return True
    if name == "sentinel" and rest:
        return rest[0] in LIVE_SENTINEL_DIRECTIVES
    return name in LIVE_DIRECTIVES
