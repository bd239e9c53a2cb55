"""The prod stack's graph, recorded from its committed settings; and how to look into it."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

from infra.stack_file import read_stack_file
from tests.unit.infra.recorded_graph import REPOSITORY, Graph, Registered, record

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


def prod_settings() -> dict[str, str]:
    """Give Pulumi.prod.yaml's settings as Pulumi hands them to the program."""
    return read_stack_file(REPOSITORY / "Pulumi.prod.yaml")


def record_prod(packages: Path, **settings: str) -> Graph:
    """Record the prod stack with some settings changed, with credentials that nobody asks for."""
    with environment(**CREDENTIALS):
        return record({**prod_settings(), "packageSource": str(packages), **settings})


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Have these and no other AWS variables, and nobody's home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {"HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}
    with mock.patch.dict(os.environ, {**kept, **nowhere, **values}, clear=True):
        yield


def fill(folder: Path, content: bytes = b"packages and code") -> Path:
    """Put a bundle where one is looked for, in place of the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("node-*.tar"):
        old.unlink()
    (folder / f"node-{sha256(content).hexdigest()}.tar").write_bytes(content)
    return folder


def custom(graph: Graph) -> list[Registered]:
    """List the resources that a provider makes."""
    return [each for each in graph.registered if each.options.custom]


def snake(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Name properties as Python does, all the way down."""

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", k).lower(): renamed(v)
                    for k, v in value.items()}  # fmt: skip
        return [renamed(item) for item in value] if isinstance(value, list) else value

    renamed_properties: dict[str, Any] = renamed(dict(properties))
    return renamed_properties
