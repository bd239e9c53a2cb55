"""Property values as the engine sends them, in Python.

Strings, booleans, numbers (whole ones as int), lists and dicts stand for themselves; `Secret`
wraps a secret value and `UNKNOWN` is a value that only the update will tell. Source: the
"Property values" section of Pulumi's provider protocol (sdk/proto/pulumi/provider.proto).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import struct_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker, no password
UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@dataclass(frozen=True)
class Secret:
    """A value that must never be shown or stored in plain."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(...)"


class Unknown:
    """A value that is not known before the update has run."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


def decode(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Turn the wire form into Python values."""
    return {name: _decode(value) for name, value in struct.fields.items()}


def _decode(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        fields = decode(value.struct_value)
        return Secret(fields.get("value")) if fields.get(SIGNATURE) == SECRET_SIGNATURE else fields
    if kind == "list_value":
        return [_decode(element) for element in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_TEXT else value.string_value
    return value.bool_value if kind == "bool_value" else None


def encode(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Turn Python values into the wire form; properties that are None are left out."""
    struct = struct_pb2.Struct()
    struct.update({n: _encode(v) for n, v in properties.items() if v is not None})
    return struct


def _encode(value: Any) -> Any:
    if isinstance(value, Secret):
        return {SIGNATURE: SECRET_SIGNATURE, "value": _encode(value.value)}
    if isinstance(value, Unknown):
        return UNKNOWN_TEXT
    if isinstance(value, dict):
        return {name: _encode(item) for name, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    return value


def reveal(value: Any) -> Any:
    """Strip the secret wrappers at every depth."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, dict):
        return {name: reveal(item) for name, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def holds_secret(value: Any) -> bool:
    """Say whether a secret stands anywhere inside."""
    return isinstance(value, Secret) or any(holds_secret(item) for item in _items(value))


def holds_unknown(value: Any) -> bool:
    """Say whether an unknown stands anywhere inside."""
    if isinstance(value, Secret):
        return holds_unknown(value.value)
    return isinstance(value, Unknown) or any(holds_unknown(item) for item in _items(value))


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def seal(state: Mapping[str, Any], *, like: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Wrap each property as secret that holds a secret in one of the given property maps.

    An output that stems from a secret input is secret as a whole: its parts may have been
    reordered on the way through the resource.
    """
    names = {name for source in like for name, value in source.items() if holds_secret(value)}
    return {
        name: Secret(reveal(value)) if name in names and value is not None else value
        for name, value in state.items()
    }
