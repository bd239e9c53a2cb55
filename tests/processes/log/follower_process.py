"""A follower as a process of its own, to be measured and killed.

`python -m tests.processes.log.follower_process FILE`: FILE is JSON as `describe` writes it. Each
line on standard input is answered with its state, one line of JSON; it ends with the input. Its
events are appended to `follower.log` beside FILE.
"""

import json
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from age import Recipient
from backup_worker.config import LogSettings
from backup_worker.log.follower import Follower, Hooks
from backup_worker.snapshot import Destination
from backup_worker.store.file import FileStore
from backup_worker.transform.signing import Signer
from redis_ha import eventlog
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from tests.processes.cluster_process import REPOSITORY
from tests.processes.log.log_worker import LogWorker


def describe(worker: LogWorker, settings: LogSettings, *, term: int = 1) -> Path:
    """Write what the process needs to know; return the file."""
    access = worker.cluster.access("backup")
    path = worker.directory / "follower.json"
    document = {
        "sentinels": [[a.host, a.port] for a in access.sentinels],
        "master_name": access.master_name,
        "username": access.credentials.username,
        "password": access.credentials.password,
        "ca": str(access.ca),
        "store": str(worker.directory / "store"),
        "spool": str(worker.spool),
        "recipient": str(worker.identity.to_public()),
        "signer": worker.signer.to_pem().decode(),
        "settings": asdict(settings),
        "term": term,
    }
    path.write_text(json.dumps(document))
    return path


def start(path: Path) -> "subprocess.Popen[str]":
    """Start it; the caller ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.processes.log.follower_process", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def ask(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the state of a running process."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    state: dict[str, Any] = json.loads(process.stdout.readline())
    return state


def main() -> None:
    """Follow until the input ends."""
    document = json.loads(Path(sys.argv[1]).read_text())
    eventlog.configure(
        "follower", component="worker", stream=Path(sys.argv[1]).with_suffix(".log").open("a")
    )
    signer = Signer.load(document["signer"].encode(), source="the test")
    follower = Follower(
        Access(
            tuple(Address(*address) for address in document["sentinels"]),
            document["master_name"],
            Credentials(document["username"], document["password"]),
            Path(document["ca"]),
        ),
        Destination(
            FileStore(Path(document["store"])), [Recipient.parse(document["recipient"])], signer
        ),
        spool=Path(document["spool"]),
        settings=LogSettings(**document["settings"]),
        trusted=(signer.public_key,),
        hooks=Hooks(lambda: int(document["term"]), lambda: None, lambda gap: None),
    )
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(asdict(follower.state())) + "\n")
        sys.stdout.flush()
    stop.set()
    thread.join()


if __name__ == "__main__":
    main()
