"""Diff: what would change, and whether it replaces the resource. Pure.

As in the official providers the new inputs are compared with the last known state, so what
changed behind Pulumi's back shows after a refresh, and an input that the platform rewrites
(a memory limit that implies a swap limit) shows on every run. Zero values ("", 0, false, an
empty list) equal absence. Source: schemaMap.Diff of Terraform's plugin SDK 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolchain.plugins.base.checking import DEFAULTS
from toolchain.plugins.base.schema import Field, Kind, Schema
from toolchain.plugins.base.values import holds_unknown, reveal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Change:
    """The change of one property: "add", "update" or "delete"."""

    kind: str
    replaces: bool


def changes(
    schema: Schema, state: Mapping[str, Any], inputs: Mapping[str, Any]
) -> dict[str, Change]:
    """Compare the last state with the new inputs, property by property."""
    old, new = reveal(dict(state)), reveal(dict(inputs))
    return {
        name: Change(_kind(old.get(name), new.get(name)), spec.replaces)
        for name, spec in schema.inputs.items()
        if not same(spec, old.get(name), new.get(name))
    }


def deletes_first(
    schema: Schema, state: Mapping[str, Any], inputs: Mapping[str, Any], found: dict[str, Change]
) -> bool:
    """Say whether a replacement must delete the old resource before it creates the new one.

    Two resources cannot share a name that the program has fixed.
    """
    if not any(change.replaces for change in found.values()):
        return False
    made_up = "name" in reveal(inputs.get(DEFAULTS, []))
    keeps_name = schema.named and not made_up and state.get("name") == inputs.get("name")
    return schema.delete_before_replace or keeps_name


def _kind(old: Any, new: Any) -> str:
    if _is_zero(old):
        return "add"
    return "delete" if _is_zero(new) else "update"


def same(spec: Field, old: Any, new: Any) -> bool:
    """Say whether the wanted value asks for no change of the old one."""
    if spec.write_only or (new is None and spec.computed):
        return True
    if holds_unknown(new):
        return False
    old, new = (spec.default if value is None else value for value in (old, new))
    if spec.kind is Kind.BLOCK:
        return _same_block(spec, old or {}, new or {})
    if _is_zero(old) or _is_zero(new):
        return _is_zero(old) and _is_zero(new)
    return _same_parts(spec, old, new)


def _same_block(spec: Field, old: dict[str, Any], new: dict[str, Any]) -> bool:
    return all(same(part, old.get(name), new.get(name)) for name, part in spec.fields.items())


def _same_parts(spec: Field, old: Any, new: Any) -> bool:
    if spec.meaning is not None:
        return bool(spec.meaning(old) == spec.meaning(new))
    if spec.kind is Kind.SET:
        return _same_set(spec.element, old, new)
    if spec.kind is Kind.LIST:
        return _same_list(spec.element, old, new)
    return bool(old == new)


def _same_list(element: Field | None, old: list[Any], new: list[Any]) -> bool:
    assert element is not None  # noqa: S101 - a list's schema names its elements
    return len(old) == len(new) and all(
        same(element, before, after) for before, after in zip(old, new, strict=True)
    )


def _same_set(element: Field | None, old: list[Any], new: list[Any]) -> bool:
    assert element is not None  # noqa: S101 - a set's schema names its elements
    left = list(old)
    for wanted in new:
        match = next((i for i, held in enumerate(left) if same(element, held, wanted)), None)
        if match is None:
            return False
        del left[match]
    return not left


def _is_zero(value: Any) -> bool:
    return value is None or value in ("", 0, False, [], {})
