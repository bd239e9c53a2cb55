"""A small network of hosts on one machine: a network namespace each, and one that is their switch.

What a host refuses to hear is a rule in its own namespace, so a cut may have one direction. The
test itself is plugged into the switch and reaches everybody whatever is cut between them. The
switch has a namespace of its own because Docker's firewall drops what this machine forwards.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_TABLE = "inet faults"


@dataclass(frozen=True)
class Host:
    """One host: the address that it has, and the namespace that it lives in."""

    name: str
    address: str
    namespace: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """Return what runs a command on it.

        `ip netns exec` would copy the mounts as well, and keep other runs' disks from going away.
        """
        return ("nsenter", f"--net=/run/netns/{self.namespace}", "--")


@dataclass(frozen=True)
class Deafness:
    """What one host doesn't hear of another: a share (percent) of its packets."""

    host: str
    of: str
    percent: int = 100


@dataclass
class Lan:
    """Hosts by name on one switch."""

    switch: str
    gateway: str
    hosts: dict[str, Host]
    # As often as it was asked for: two faults may cut the same two.
    _deaf: list[Deafness] = field(default_factory=list)

    @classmethod
    @contextmanager
    def laid(cls, names: Sequence[str], *, number: int) -> Iterator["Lan"]:
        """Lay the network for the block; needs root, and a number that no other network has."""
        switch, subnet = f"rhf{number}", f"10.213.{number}"
        hosts = {
            name: Host(name, f"{subnet}.{10 + index}", f"{switch}-{index}")
            for index, name in enumerate(names)
        }
        lan = cls(switch, f"{subnet}.1", hosts)
        # Before anything is to be taken away: another's network may have this name.
        _run("ip", "netns", "add", switch)
        try:
            lan._lay()
            yield lan
        finally:
            lan._take_away()

    def deafen(self, *deafness: Deafness) -> None:
        self._deaf += deafness
        self._apply({one.host for one in deafness})

    def hear(self, *deafness: Deafness) -> None:
        """End what `deafen` began; what others began of the same kind stays."""
        for one in deafness:
            if one in self._deaf:
                self._deaf.remove(one)
        self._apply({one.host for one in deafness})

    def narrow(self, name: str, kilobits: int, *, queue_ms: int) -> None:
        """Let a host send so much a second; the rest waits up to so long, then is dropped."""
        self.widen(name)
        limits = ("rate", f"{kilobits}kbit", "burst", "4kb", "latency", f"{queue_ms}ms")
        _run(*self._tc("add", name), "tbf", *limits)

    def widen(self, name: str) -> None:
        """End what `narrow` began."""
        _run(*self._tc("delete", name), check=False)

    def said(self, name: str, *command: str) -> str:
        """Return what a command prints on a host."""
        return _said(*self.hosts[name].prefix, *command)

    def heal(self) -> None:
        """Let everybody hear everything, at once."""
        hosts = {one.host for one in self._deaf}
        self._deaf.clear()
        self._apply(hosts)
        for name in self.hosts:
            self.widen(name)

    def _tc(self, verb: str, name: str) -> tuple[str, ...]:
        index = list(self.hosts).index(name)
        device = f"{self.switch}h{index}"
        return (*self.hosts[name].prefix, "tc", "qdisc", verb, "dev", device, "root")

    def _apply(self, hosts: set[str]) -> None:
        """Write the rules of some hosts anew, each host's in one step."""
        for name in hosts:
            mine = [self._rule(one) for one in self._deaf if one.host == name]
            chain = f"add chain {_TABLE} heard {{ type filter hook input priority 0; }}"
            rules = [f"add rule {_TABLE} heard {rule}" for rule in mine]
            text = "\n".join([f"add table {_TABLE}", f"flush table {_TABLE}", chain, *rules, ""])
            _run(*self.hosts[name].prefix, "nft", "-f", "-", stdin=text)

    def _rule(self, deafness: Deafness) -> str:
        chance = "" if deafness.percent == 100 else f"numgen random mod 100 < {deafness.percent} "
        return f"ip saddr {self.hosts[deafness.of].address} {chance}drop"

    def _lay(self) -> None:
        _run("ip", "-n", self.switch, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", self.switch, "link", "set", "bridge", "up")
        self._plug_in("t", self.gateway, namespace="")
        for index, host in enumerate(self.hosts.values()):
            _run("ip", "netns", "add", host.namespace)
            self._plug_in(str(index), host.address, namespace=host.namespace)

    def _plug_in(self, port: str, address: str, *, namespace: str) -> None:
        """Lead a cable from the switch to a host; "" is where the test runs."""
        there, here = f"{self.switch}p{port}", f"{self.switch}h{port}"
        inside = ("ip", "-n", namespace) if namespace else ("ip",)
        _run("ip", "link", "add", there, "type", "veth", "peer", "name", here)
        _run("ip", "link", "set", there, "netns", self.switch)
        _run("ip", "-n", self.switch, "link", "set", there, "master", "bridge", "up")
        if namespace:
            _run("ip", "link", "set", here, "netns", namespace)
            _run(*inside, "link", "set", "lo", "up")
        _run(*inside, "address", "add", f"{address}/24", "dev", here)
        _run(*inside, "link", "set", here, "up")

    def _take_away(self) -> None:
        take_away(self.switch)


def take_away(switch: str) -> None:
    """Remove a network, whatever of it is there, and end what runs on its hosts."""
    listed = _said("ip", "netns", "list").split()
    for namespace in listed:
        if namespace == switch or namespace.startswith(f"{switch}-"):
            for pid in _said("ip", "netns", "pids", namespace).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _run("ip", "netns", "delete", namespace, check=False)
    _run("ip", "link", "delete", f"{switch}ht", check=False)


def why_not() -> str:
    """Say why no network can be laid on this machine; empty when it can."""
    if os.geteuid() != 0:
        return "networks of its own need root"
    for tool in ("ip", "nft", "tc", "nsenter", "unshare"):
        if shutil.which(tool) is None:
            return f"networks of its own need `{tool}`"
    tried = subprocess.run(
        ["unshare", "-n", "nft", "add", "table", "inet", "tried"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no network namespace with nft here: {tried.stderr.strip()}" if tried.returncode else ""


def _run(*command: str, stdin: str = "", check: bool = True) -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{command}: {done.stderr}"


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
