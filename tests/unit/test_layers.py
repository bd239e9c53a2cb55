"""The layers that `make lint` holds leave no module out."""

import pkgutil
import re
import tomllib
from typing import Any

import redis_ha
from tests.documents import ROOT

# What reaches a cluster and tells of it.
FOR_THE_WORKER = {
    *("connection", "discovery", "environment", "errors", "eventlog", "moments", "serving"),
}
_IMPORTED = re.compile(r"^\s*from redis_ha(?:\.(\w+)(?:\.\w+)*)? import (.+)", re.MULTILINE)


def contract(begin: str) -> dict[str, Any]:
    """Give the contract whose name begins so."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (found,) = (c for c in contracts["contracts"] if c["name"].startswith(begin))
    return dict(found)


def test_a_module_of_redis_ha_is_allowed_to_the_worker_or_forbidden() -> None:
    forbidden = contract("backup_worker takes of redis_ha")["forbidden_modules"]
    there = [found.name for found in pkgutil.iter_modules(redis_ha.__path__)]
    denied = [name.removeprefix("redis_ha.") for name in forbidden]
    assert sorted([*denied, *FOR_THE_WORKER]) == sorted(there)


def test_what_is_allowed_to_the_worker_is_imported_by_it() -> None:
    imported: set[str] = set()
    for file in (ROOT / "backup_worker").rglob("*.py"):
        for module, names in _IMPORTED.findall(file.read_text()):
            imported |= {module} if module else set(re.findall(r"\w+", names.partition("#")[0]))
    assert imported == FOR_THE_WORKER


def test_the_architecture_names_what_is_allowed_to_the_worker() -> None:
    lines = (ROOT / "docs" / "ARCHITECTURE.md").read_text().splitlines()
    (row,) = (line for line in lines if line.startswith("| `backup_worker` |"))
    assert set(re.findall(r"`(\w+)`", row.split("|")[3])) == FOR_THE_WORKER | {"age", "redis_ha"}


def test_a_cli_is_kept_from_its_own_package_too() -> None:
    """A source that holds what is forbidden to it is not looked at by import-linter."""
    clis = contract("nothing imports a cli")
    for cli in clis["forbidden_modules"]:
        package = cli.partition(".")[0]
        assert f"{package}.*" in clis["source_modules"]
