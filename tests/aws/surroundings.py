"""What a machine finds around it on AWS: its metadata, Secrets Manager and S3.

Moto answers for the services. The metadata is a small server of its own, since it lives at an
address, 169.254.169.254, and speaks IMDSv2: without a token it answers 401.
"""

import json
import secrets
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

METADATA_HOST = "169.254.169.254"
REGION = "eu-central-1"
ROLE = "redis-ha-node"
_TOKEN = secrets.token_hex(16)
_KEYS = {
    "Code": "Success",
    "Type": "AWS-HMAC",
    "AccessKeyId": "ASIATESTTESTTEST",
    "SecretAccessKey": secrets.token_hex(20),
    "Token": secrets.token_hex(20),
    "LastUpdated": "2026-01-01T00:00:00Z",
    "Expiration": "2036-01-01T00:00:00Z",
}
_ROLES = "/latest/meta-data/iam/security-credentials/"
_ANSWERS = {
    _ROLES: ROLE,
    _ROLES + ROLE: json.dumps(_KEYS),
    "/latest/meta-data/services/domain": "amazonaws.com",
}


class _Metadata(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        asked = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self._answer(200 if asked and self.path == "/latest/api/token" else 400, _TOKEN)

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != _TOKEN:
            self._answer(401, "")
        else:
            found = _ANSWERS.get(self.path)
            self._answer(404 if found is None else 200, found or "")

    def log_message(self, *_: Any) -> None:
        """Stay silent: the tests' output is theirs."""

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass
class Account:
    """An account at `endpoint` with one bucket."""

    endpoint: str
    bucket: str = "redis-ha-000000000000-eu-central-1"
    session: Any = field(default_factory=lambda: boto3.Session("test", "test", region_name=REGION))

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.endpoint)

    def make_bucket(self, bundle: Path) -> tuple[str, ...]:
        """Make the bucket, put the nodes' bundle into it and return its key."""
        s3, key = self.client("s3"), f"packages/{bundle.name}"
        where = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration=where)
        s3.upload_file(str(bundle), self.bucket, key)
        return (key,)

    def keep_secret(self, name: str, files: dict[str, str]) -> str:
        """Keep files as one secret and return its ARN."""
        made = self.client("secretsmanager").create_secret(
            Name=name, SecretString=json.dumps(files)
        )
        return str(made["ARN"])

    def keys_below(self, prefix: str) -> list[str]:
        """List the keys of the bucket below a prefix."""
        listed = self.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [each["Key"] for each in listed.get("Contents", ())]


@contextmanager
def account(host: str, port: int) -> Iterator[Account]:
    """Serve an empty account at an address of this machine."""
    server = ThreadedMotoServer(ip_address=host, port=port, verbose=False)
    server.start()
    try:
        yield Account(f"http://{host}:{port}")
    finally:
        server.stop()


@contextmanager
def metadata(bridge: str) -> Iterator[None]:
    """Serve the metadata to whoever is on a bridge of this machine."""
    address = [f"{METADATA_HOST}/32", "dev", bridge]
    subprocess.run(["ip", "address", "add", *address], check=True)
    try:
        server = ThreadingHTTPServer((METADATA_HOST, 80), _Metadata)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)
    finally:
        subprocess.run(["ip", "address", "delete", *address], check=True)
