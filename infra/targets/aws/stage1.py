"""Stage 1 of a machine's boot: fetch the bundle from the own bucket, install it, go on from it.

Its text is part of user-data, so it uses nothing but Python's standard library: Debian's image
has neither an AWS client nor a way to get one. The bundle's name is the SHA-256 of its content,
which is what makes the packages in it trusted. Every step can be repeated.
"""

# ruff: noqa: S310 - addresses are the machine's metadata or come from user-data

import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

STATE = Path("/var/lib/redis-ha")
CODE = Path("/opt/redis-ha")
METADATA = "http://169.254.169.254/latest"
PATIENCE_SECONDS = 60
# Debian's own units, which would take the ports of ours.
FOREIGN_UNITS = (
    "redis-server.service",
    "valkey-server.service",
    "prometheus-redis-exporter.service",
)


def main() -> None:
    """Install the bundle that boot.json names and hand over to node.vm.boot."""
    places = json.loads(Path("/etc/redis-ha/boot.json").read_text())
    STATE.mkdir(mode=0o755, exist_ok=True)
    bundle = STATE / "bundle"
    if not (bundle / "installed").exists():
        unpack(fetch(places), bundle)
        install(bundle)
        (bundle / "installed").touch()
    environment = {**os.environ, "PYTHONPATH": str(CODE), "PYTHONUNBUFFERED": "1"}
    os.execve(sys.executable, [sys.executable, "-m", "node.vm.boot"], environment)  # noqa: S606


def fetch(places: dict[str, str]) -> Path:
    """Download the bundle; a content that isn't what its name says ends the boot."""
    key = places["bundle"]
    target, found = STATE / "bundle.tar", hashlib.sha256()
    request = signed(places, key, credentials(), time.gmtime())
    with urlopen(request, timeout=PATIENCE_SECONDS) as source, target.open("wb") as file:
        while part := source.read(1 << 20):
            found.update(part)
            file.write(part)
    if found.hexdigest() not in key:
        raise SystemExit(f"s3://{places['bucket']}/{key} has another content than its name says")
    return target


def credentials() -> dict[str, str]:
    """Ask the machine's metadata (IMDSv2) for the keys of its role."""
    ask = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
    token = read(Request(f"{METADATA}/api/token", headers=ask, method="PUT"))
    shown = {"X-aws-ec2-metadata-token": token}
    roles = f"{METADATA}/meta-data/iam/security-credentials/"
    role = read(Request(roles, headers=shown)).split()[0]
    keys = json.loads(read(Request(roles + role, headers=shown)))
    domain = read(Request(f"{METADATA}/meta-data/services/domain", headers=shown))
    return {**keys, "domain": domain.strip()}


def signed(
    places: dict[str, str], key: str, keys: dict[str, str], now: time.struct_time
) -> Request:
    """Write a GET of an object, signed with Signature Version 4 (S3 API, query-less, no body)."""
    region, bucket = places["region"], places["bucket"]
    host, path, base = f"{bucket}.s3.{region}.{keys['domain']}", f"/{key}", ""
    if places["endpoint"]:
        base, path = places["endpoint"].rstrip("/"), f"/{bucket}/{key}"
        host = base.split("//")[1]
    stamp, day = time.strftime("%Y%m%dT%H%M%SZ", now), time.strftime("%Y%m%d", now)
    headers = {
        "host": host,
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        "x-amz-date": stamp,
        "x-amz-security-token": keys["Token"],
    }
    names, scope = ";".join(headers), f"{day}/{region}/s3/aws4_request"
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"GET\n{path}\n\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    secret = ("AWS4" + keys["SecretAccessKey"]).encode()
    for part in (day, region, "s3", "aws4_request"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = hmac.digest(secret, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys['AccessKeyId']}/{scope},"
        f"SignedHeaders={names},Signature={signature}"
    )
    return Request((base or f"https://{host}") + path, headers=headers)


def unpack(archive: Path, bundle: Path) -> None:
    """Lay the bundle out anew, whatever a try before left there."""
    shutil.rmtree(bundle, ignore_errors=True)
    bundle.mkdir()
    run("tar", "-xf", str(archive), "-C", str(bundle), "--no-same-owner")
    archive.unlink()


def install(bundle: Path) -> None:
    """Install the packages from the bundle alone, and our code beside them."""
    run("systemctl", "mask", *FOREIGN_UNITS)
    sources = bundle / "sources.list"
    sources.write_text(f"deb [trusted=yes] file:{bundle}/debs ./\n")
    lists = bundle / "lists"
    lists.mkdir()
    apt = (
        *("apt-get", "-q", "-y", "-o", f"Dir::Etc::SourceList={sources}"),
        *("-o", "Dir::Etc::SourceParts=/dev/null", "-o", f"Dir::State::Lists={lists}"),
        *("-o", "APT::Sandbox::User=root", "-o", "DPkg::Lock::Timeout=300"),
    )
    run(*apt, "update")
    wanted = (bundle / "install.txt").read_text().split()
    run(*apt, "install", "--no-install-recommends", *wanted)
    shutil.rmtree(CODE, ignore_errors=True)
    shutil.copytree(bundle / "code", CODE)


def run(*command: str) -> None:
    """Run a command; its words go to the journal, its failure ends this try."""
    subprocess.run(command, check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def read(request: Request) -> str:
    with urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return str(answer.read().decode())


if __name__ == "__main__":
    main()
