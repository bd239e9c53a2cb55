"""A stack's committed settings, read without Pulumi."""

import json
from pathlib import Path
from typing import Any

import yaml

NAMESPACE = "redis-ha:"


def read_stack_file(path: Path) -> dict[str, str]:
    """Give a Pulumi.<stack>.yaml's settings as Pulumi hands them to the program: as texts."""
    config: dict[str, Any] = yaml.safe_load(path.read_text())["config"]
    return {
        name.removeprefix(NAMESPACE): value if isinstance(value, str) else json.dumps(value)
        for name, value in config.items()
        if name.startswith(NAMESPACE)
    }
