"""What of a sentinel's file is its memory and what is the stack's. Pure: text in, text out.

Sentinel rewrites its own file. The master's present address, the epochs it voted in and everybody
it knows are its memory and must outlive a restart; every other line is a setting, and the seed
says what it is now. Whoever the stack no longer has is forgotten with it: SENTINEL RESET does that
too, but then knows no replica to promote until it has asked the master again.
"""

from collections.abc import Collection

_MEMORY = frozenset(
    {
        "myid",
        "current-epoch",
        "config-epoch",
        "leader-epoch",
        "known-replica",
        "known-slave",
        "known-sentinel",
    }
)


_MEMBERS = ("known-replica", "known-slave", "known-sentinel")


def with_memory(
    seed: str, *, live: str, master_name: str, members: Collection[tuple[str, int]] | None = None
) -> str:
    """Return the seed's settings with the memory of the live file.

    Of replicas and sentinels it keeps the `members`, by host and port; None keeps all.
    """
    remembered = [
        line
        for line in live.splitlines()
        if _directive(line) in _MEMORY and _is_kept(line, members)
    ]
    current = next(line for line in live.splitlines() if _monitors(line, master_name))
    settings = [
        _at_address_of(current, line) if _monitors(line, master_name) else line
        for line in seed.splitlines()
    ]
    return "\n".join([*settings, *remembered, ""])


def monitors(text: str, master_name: str) -> bool:
    """Say whether a configuration watches that master."""
    return any(_monitors(line, master_name) for line in text.splitlines())


def _monitors(line: str, master_name: str) -> bool:
    words = line.split()
    return words[:3] == ["sentinel", "monitor", master_name] and len(words) == 6


def _at_address_of(current: str, line: str) -> str:
    """Keep the quorum of `line`, which is a setting, and the address of `current`."""
    return " ".join([*current.split()[:5], line.split()[5]])


def _is_kept(line: str, members: Collection[tuple[str, int]] | None) -> bool:
    if members is None or _directive(line) not in _MEMBERS:
        return True
    _, _, _, host, port, *_ = line.split()
    return (host, int(port)) in members


def _directive(line: str) -> str:
    words = line.split()
    return words[1] if len(words) > 1 and words[0] == "sentinel" else ""
