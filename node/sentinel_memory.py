"""What of a sentinel's file is its memory and what is the stack's. Pure: text in, text out.

Sentinel rewrites its own file. The master's present address, the epochs it voted in and everybody
it knows are its memory and must outlive a restart; every other line is a setting, and the seed
says what it is now.
"""

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


def with_memory(seed: str, *, live: str, master_name: str) -> str:
    """Return the seed's settings with the memory of the live file."""
    remembered = [line for line in live.splitlines() if _directive(line) in _MEMORY]
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


def _directive(line: str) -> str:
    words = line.split()
    return words[1] if len(words) > 1 and words[0] == "sentinel" else ""
