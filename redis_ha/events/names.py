"""What the nodes at the addresses are called: as the site knows, or as the logs let on."""

import re
from collections.abc import Mapping

from redis_ha.logs.entry import Entry

_PORT = re.compile(r"Running mode=\w+, port=(\d{1,5})\.")
_OWN = re.compile(r"\bladdr=(\S+:\d{1,5})\b")


class Names:
    """Maps addresses (host:port) to names; learns from what servers say of themselves."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = dict(known)
        # Where only the port is known: the name, "" once two nodes have it.
        self._by_port: dict[str, str] = {}

    def learn(self, entry: Entry) -> None:
        """Take in that a server listens on a port, or was spoken to at an address."""
        if entry.component not in ("redis", "sentinel"):
            return
        if own := _OWN.search(entry.message):
            self._known.setdefault(own[1], entry.node)
        elif port := _PORT.fullmatch(entry.message):
            before = self._by_port.setdefault(port[1], entry.node)
            self._by_port[port[1]] = entry.node if before == entry.node else ""

    def of(self, address: str) -> str:
        """Give the name; what has none stays as it is."""
        return self._known.get(address) or self._by_port.get(address.rpartition(":")[2]) or address

    def knows(self, address: str) -> bool:
        return self.of(address) != address
