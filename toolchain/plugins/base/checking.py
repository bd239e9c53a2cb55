"""Check: complete a resource's inputs with defaults and say everything that is wrong with them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolchain.plugins.base.schema import Field, Kind, Schema
from toolchain.plugins.base.values import Secret, Unknown, reveal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_UNKNOWN: Final = "unknown property"
_REFUSED: Final = "this stand-in plugin does not support it; leave it out"
DEFAULTS: Final = "__defaults"  # the official providers keep the names of defaulted inputs here

_PYTHON_TYPES: Final[dict[Kind, type | tuple[type, ...]]] = {
    Kind.STRING: str,
    Kind.INTEGER: int,
    Kind.NUMBER: (int, float),
    Kind.BOOLEAN: bool,
    Kind.MAP: dict,
    Kind.LIST: list,
    Kind.SET: list,
    Kind.BLOCK: dict,
    Kind.ASSET: dict,
}


@dataclass(frozen=True)
class Failure:
    """One thing that is wrong with the inputs; `property` is a path such as `ports[0].ip`."""

    property: str
    reason: str


def complete(
    schema: Schema, inputs: Mapping[str, Any], *, olds: Mapping[str, Any], name: str, seed: bytes
) -> dict[str, Any]:
    """Fill in defaults and, for a named type, the name; secrets stay wrapped.

    `olds` are the inputs of the last run: a name made up then is kept. `seed` makes new names
    unpredictable but repeatable within one run.
    """
    given = {key: value for key, value in inputs.items() if key != DEFAULTS and value is not None}
    defaults = {
        key: spec.default
        for key, spec in schema.inputs.items()
        if key not in given and spec.default is not None
    }
    if schema.named and not given.keys() & {"name", "namePrefix"}:
        defaults["name"] = _made_up_name(name, olds=olds, seed=seed)
    return {**given, **defaults, DEFAULTS: sorted(defaults)}


def _made_up_name(name: str, *, olds: Mapping[str, Any], seed: bytes) -> Any:
    if "name" in reveal(olds.get(DEFAULTS, [])):
        return olds["name"]
    return f"{name}-{hashlib.sha256(seed + name.encode()).hexdigest()[:7]}"


def failures(schema: Schema, inputs: Mapping[str, Any]) -> list[Failure]:
    """Everything in the inputs that the schema does not allow."""
    plain = {name: value for name, value in reveal(dict(inputs)).items() if name != DEFAULTS}
    found = _fields(schema.inputs, schema.unsupported, plain, path="")
    return [_of_a_part(f) for f in found] if schema.partial else list(found)


def _of_a_part(failure: Failure) -> Failure:
    return Failure(failure.property, _REFUSED) if failure.reason == _UNKNOWN else failure


def _fields(
    specs: Mapping[str, Field], unsupported: frozenset[str], given: Mapping[str, Any], *, path: str
) -> Iterator[Failure]:
    for name, value in given.items():
        where = f"{path}{name}"
        if name in specs:
            yield from _value(specs[name], value, path=where)
        elif name in unsupported:
            yield Failure(where, _REFUSED)
        else:
            yield Failure(where, _UNKNOWN)
    for name, spec in specs.items():
        if spec.required and given.get(name) is None:
            yield Failure(f"{path}{name}", "missing required property")


def _value(spec: Field, value: Any, *, path: str) -> Iterator[Failure]:
    if value is None or isinstance(value, (Unknown, Secret)):
        return
    if not _has_type(value, spec.kind):
        yield Failure(path, f"expected {spec.kind.value}, got {type(value).__name__}")
        return
    if spec.kind is Kind.BLOCK:
        yield from _fields(spec.fields, spec.unsupported, value, path=f"{path}.")
    elif spec.kind is Kind.MAP:
        for key, item in value.items():
            if not isinstance(item, (str, Unknown)):
                yield Failure(f"{path}.{key}", f"expected a string, got {type(item).__name__}")
    elif spec.element is not None:
        for index, item in enumerate(value):
            yield from _value(spec.element, item, path=f"{path}[{index}]")
    wrong = spec.rule(value) if spec.rule else None
    if wrong:
        yield Failure(path, wrong)


def _has_type(value: Any, kind: Kind) -> bool:
    if kind in (Kind.INTEGER, Kind.NUMBER) and isinstance(value, bool):
        return False
    return isinstance(value, _PYTHON_TYPES[kind])
