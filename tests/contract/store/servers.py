"""S3 servers for the tests: moto in this process, versitygw as a process of its own."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from backup_worker.store.s3 import S3Store

VERSITYGW = "versitygw-1.8.0"
_numbers = count(1)
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret-of-the-tester"}


@contextmanager
def moto() -> Iterator[str]:
    """Yield the endpoint of a moto server in this process."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def versitygw(
    directory: Path, *options: str, posix: tuple[str, ...] = (), port: int | None = None
) -> Iterator[str]:
    """Yield the endpoint of a versitygw process that keeps its objects in `directory`."""
    port = port or free_port()
    listen = ["--port", f"127.0.0.1:{port}", "--quiet", *options]
    process = subprocess.Popen(
        [versitygw_binary(), *listen, "posix", *posix, directory],
        env={
            **os.environ,
            "ROOT_ACCESS_KEY": CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "ROOT_SECRET_KEY": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_open(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def create_user(endpoint: str, name: str, secret: str) -> None:
    """Add a user to a versitygw that was started with an --iam-dir."""
    key, root_secret = CREDENTIALS.values()
    who = ["--access", key, "--secret", root_secret, "--endpoint-url", endpoint]
    new = ["--access", name, "--secret", secret, "--role", "user"]
    command = [versitygw_binary(), "admin", *who, "create-user", *new]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def allow(endpoint: str, name: str, *, bucket: str, actions: tuple[str, ...]) -> None:
    """Make a bucket that a user may list, and act in as `actions` say."""

    def statement(resource: str, *allowed: str) -> dict[str, object]:
        return {
            "Effect": "Allow",
            "Principal": {"AWS": [name]},
            "Action": [f"s3:{action}" for action in allowed],
            "Resource": [f"arn:aws:s3:::{resource}"],
        }

    statements = [statement(f"{bucket}/*", *actions), statement(bucket, "ListBucket")]
    client = owner(endpoint)
    client.create_bucket(Bucket=bucket)
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": statements}))
    client.close()


def owner(endpoint: str) -> Any:
    """Be the server's root, whoever this process was before: boto3 remembers its first login."""
    session = boto3.Session(*CREDENTIALS.values(), region_name="us-east-1")
    return session.client("s3", endpoint_url=endpoint)


def make_s3_store(endpoint: str, *, prefix: str = "cluster/a/") -> S3Store:
    """Make a store in a new bucket."""
    bucket = f"backups-{next(_numbers)}"
    client = owner(endpoint)
    client.create_bucket(Bucket=bucket)
    client.close()
    return S3Store(bucket, prefix=prefix, endpoint=endpoint)


def versitygw_binary() -> str:
    """Find the pinned versitygw; without it the suite fails rather than skips."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cached = cache / "redis-ha" / VERSITYGW / "versitygw"
    found = str(cached) if cached.exists() else shutil.which("versitygw")
    if found is None:
        pytest.fail(f"versitygw is neither at {cached} nor on PATH: the toolchain installs it")
    return found


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


def _wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"versitygw did not open port {port}")
