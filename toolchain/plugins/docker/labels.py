"""Labels: lists of label and value in Pulumi, a map in Docker."""

from __future__ import annotations

from typing import Any, Final

from toolchain.plugins.base.schema import STRING, Field, blocks

LABELS: Final[Field] = blocks(
    {"label": STRING.but(required=True), "value": STRING.but(required=True)}
)


def to_map(labels: list[dict[str, str]] | None) -> dict[str, str]:
    """Docker's form."""
    return {entry["label"]: entry["value"] for entry in labels or []}


def to_list(labels: dict[str, str] | None) -> list[dict[str, Any]]:
    """Pulumi's form, in a stable order."""
    return [{"label": name, "value": value} for name, value in sorted((labels or {}).items())]
