"""A folder of `redis-ha compose`: written at a time of the test's, read as its containers do."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from infra.compose.folder import COMPOSE_FILE, Folder
from infra.compose.writing import write_folder
from tests.unit.infra.recorded_graph import REPOSITORY

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GROUP = Path("/proc/self").stat().st_gid


def write(path: Path, *, now: datetime = NOW, **settings: str) -> dict[str, Any]:
    write_folder(Folder(path, GROUP), settings, root=REPOSITORY, now=now)
    document: dict[str, Any] = yaml.safe_load((path / COMPOSE_FILE).read_text())
    return document


def own_folder(path: Path, name: str) -> Path:
    """Find what the container mounts."""
    service = yaml.safe_load((path / COMPOSE_FILE).read_text())["services"][name]
    (mounted,) = (v for v in service["volumes"] if v.endswith(":/etc/redis-ha:ro"))
    return path / str(mounted).split(":", maxsplit=1)[0]


def node_files(path: Path) -> dict[str, str]:
    """Read what the containers of the folder's file mount, by node and file."""
    found: dict[str, str] = {}
    for name in yaml.safe_load((path / COMPOSE_FILE).read_text())["services"]:
        own = own_folder(path, name)
        files = [file for file in own.rglob("*") if file.is_file()]
        found |= {f"{name}/{file.relative_to(own)}": file.read_text() for file in files}
    return found
