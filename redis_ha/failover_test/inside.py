"""A client in the master's own container: what an application on its side of a partition sees.

The parent sends one line of JSON: address, user, key; then nothing, and closes the pipe to end
it. It answers with one line that tells its clock, then at the end one line with its ledger.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from redis_ha.connection import Address, Credentials, connect
from redis_ha.discovery import Access
from redis_ha.errors import WorkloadFailed
from redis_ha.failover_test.ledger import Writer, close_books
from redis_ha.failover_test.records import ClientRecord, WriterRecord

KIND = "inside"
LOOPBACK = "127.0.0.1"
CA = "/etc/redis-ha/tls/ca.crt"
_PACE = 0.01
_TIMEOUT = 1.0
_PATIENCE = 20.0


@dataclass
class OneNode:
    """A client of one node that looks for no other."""

    redis: Any

    def write(self, command: Callable[[Any], Any]) -> None:
        command(self.redis)

    def read(self, command: Callable[[Any], Any]) -> Any:
        return command(self.redis)


@dataclass
class DockerInsideClient:
    """The parent's side of such a client; `shift` turns its clock (s) into ours."""

    process: "subprocess.Popen[str]"
    shift: float

    @classmethod
    def start(
        cls, container: str, address: Address, access: Access, *, key: str
    ) -> "DockerInsideClient":
        """Start it in a running container and wait until it is there; raises WorkloadFailed."""
        enter = ["docker", "exec", "--interactive", container]
        process = subprocess.Popen(
            [*enter, "python3", "-m", "redis_ha.failover_test.inside"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # A ^C is ours to handle: the client ends when its input does.
            start_new_session=True,
        )
        user = access.credentials
        order = {"port": address.port, "key": key} | vars(user)
        line = _order(process, json.dumps(order))
        if not line:
            process.kill()
            raise _failed(container, "it ended before it began")
        return cls(process, time.monotonic() - float(json.loads(line)["clock"]))

    def stop(self) -> ClientRecord:
        """End it and return what it could write, in our time; raises WorkloadFailed."""
        try:
            text, _ = self.process.communicate(timeout=_PATIENCE)
            ledger = json.loads(text)
        except (subprocess.TimeoutExpired, ValueError) as error:
            self.process.kill()
            raise _failed("the container", str(error)) from error
        times = tuple(at + self.shift for at in ledger["times"])
        writer = WriterRecord(tuple(ledger["numbers"]), times)
        return ClientRecord(
            KIND, (writer,), failed_writes=ledger["failed"], errors=ledger["errors"]
        )

    def kill(self) -> None:
        """End it, whatever it does; nothing when it has ended."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def _order(process: "subprocess.Popen[str]", text: str) -> str:
    """Send the order and return the first line of the answer; "" when it ended."""
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(text + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return ""
    return process.stdout.readline()


def _failed(subject: str, cause: str) -> WorkloadFailed:
    return WorkloadFailed(
        operation="run a client inside",
        subject=subject,
        cause=cause,
        hint="the node's image must be of this version: run `pulumi up`",
    )


def main(orders: IO[str]) -> None:
    """Write until the input ends, then print what was acknowledged."""
    order = json.loads(orders.readline())
    credentials = Credentials(order["username"], order["password"])
    node = Address(LOOPBACK, int(order["port"]))
    client = connect(node, credentials=credentials, ca=Path(CA), timeout=_TIMEOUT)
    writer, stop = Writer(OneNode(client), order["key"], _PACE), threading.Event()
    print(json.dumps({"clock": time.monotonic()}), flush=True)  # noqa: T201 - the pipe to the parent
    thread = threading.Thread(target=writer.run, args=(stop,), daemon=True)
    thread.start()
    orders.read()
    stop.set()
    thread.join(_TIMEOUT + 1)
    record = close_books(KIND, [writer], [])
    ledger = {"failed": record.failed_writes, "errors": dict(record.errors)}
    print(json.dumps(vars(record.writers[0]) | ledger), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.stdin)
