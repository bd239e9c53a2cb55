"""What goes into the node image: a hash of it, so that a change rebuilds and nothing else does."""

from collections.abc import Mapping
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

from infra.config import ClusterConfig

# What the build context's .dockerignore lets through, and what says how it is built.
SOURCES = ("age", "backup_worker", "node", "redis_ha")
LEFT_OUT = ("__pycache__", "*.pyc")
HASH_DIGITS = 12


def build_args(config: ClusterConfig) -> dict[str, str]:
    """Give the Dockerfile's arguments; without a date there is none, and packages are as cached."""
    dated = {"IMAGE_DATE": config.image_date} if config.image_date else {}
    return {"BASE_IMAGE": config.base, "ENGINE": config.engine, **dated}


def image_name(repository: str, *, engine: str, content: str) -> str:
    """Name an image after the hash of what it is made of."""
    return f"{repository}:{engine}-{content}"


def context_hash(root: Path, build_args: Mapping[str, str]) -> str:
    """Hash names, modes and contents of the image's files, and the build's arguments.

    The same tree gives the same hash wherever and whenever it was checked out.
    """
    digest = sha256()
    for name, value in sorted(build_args.items()):
        digest.update(f"arg {name}={value}\n".encode())
    for path in context_files(root):
        content = sha256(path.read_bytes()).hexdigest()
        executable = "x" if path.stat().st_mode & 0o100 else "-"
        digest.update(f"{path.relative_to(root).as_posix()} {executable} {content}\n".encode())
    return digest.hexdigest()[:HASH_DIGITS]


def context_files(root: Path) -> list[Path]:
    """List the files that the image is built from, sorted by their path below `root`."""
    found = [root / ".dockerignore"]
    for source in SOURCES:
        found += [path for path in (root / source).rglob("*") if path.is_file() and _kept(path)]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _kept(path: Path) -> bool:
    return not any(fnmatch(part, left) for part in path.parts for left in LEFT_OUT)
