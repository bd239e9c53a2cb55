"""A stack's committed settings, read without Pulumi."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

NAMESPACE = "redis-ha:"


def read_stack_file(path: Path) -> dict[str, str]:
    """Give a Pulumi.<stack>.yaml's settings as Pulumi hands them to the program: as texts."""
    config: dict[str, Any] = yaml.safe_load(path.read_text())["config"]
    return as_texts(
        {
            name.removeprefix(NAMESPACE): value
            for name, value in config.items()
            if name.startswith(NAMESPACE)
        }
    )


def as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Give YAML's values as Pulumi hands them to the program."""
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
