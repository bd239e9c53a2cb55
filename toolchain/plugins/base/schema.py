"""What a resource type takes and gives, as data: kinds, defaults, and which change replaces."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Kind(Enum):
    """The shape of a property."""

    STRING = "a string"
    INTEGER = "a whole number"
    NUMBER = "a number"
    BOOLEAN = "a boolean"
    MAP = "a map of strings"
    LIST = "a list"
    SET = "an unordered list"
    BLOCK = "an object"
    ASSET = "a file or a text"


@dataclass(frozen=True)
class Field:
    """One input property.

    `replaces`: a change replaces the resource, otherwise it updates it in place.
    `computed`: the provider fills it in when it is not given, so leaving it out is no change.
    `rule`: given the value, returns what is wrong with it, or None.
    `meaning`: turns a value into what is compared, where several spellings mean the same.
    `write_only`: sent to the platform and never kept in the state, so it is never compared.
    """

    kind: Kind
    element: Field | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)
    unsupported: frozenset[str] = frozenset()
    required: bool = False
    default: Any = None
    replaces: bool = True
    computed: bool = False
    rule: Callable[[Any], str | None] | None = None
    meaning: Callable[[Any], Any] | None = None
    write_only: bool = False

    def but(self, **changes: Any) -> Field:
        """Return the same field with some attributes changed."""
        return replace(self, **changes)


STRING = Field(Kind.STRING)
INTEGER = Field(Kind.INTEGER)
NUMBER = Field(Kind.NUMBER)
BOOLEAN = Field(Kind.BOOLEAN)
MAP = Field(Kind.MAP)
ASSET = Field(Kind.ASSET)
STRINGS = Field(Kind.LIST, element=STRING)
STRING_SET = Field(Kind.SET, element=STRING)


def block(fields: Mapping[str, Field], *, unsupported: frozenset[str] = frozenset()) -> Field:
    """A nested object."""
    return Field(Kind.BLOCK, fields=fields, unsupported=unsupported)


def blocks(fields: Mapping[str, Field], *, unsupported: frozenset[str] = frozenset()) -> Field:
    """A list of nested objects whose order has no meaning."""
    return Field(Kind.SET, element=block(fields, unsupported=unsupported))


@dataclass(frozen=True)
class Schema:
    """A resource type, or a provider's configuration.

    `outputs`: properties only the provider fills in; `secret_outputs` of them are always secret.
    `unsupported`: properties of the official type that the stand-in refuses.
    `partial`: `inputs` and `unsupported` name only a part of the official type's properties.
    `named`: a missing `name` is made up from the resource's name, as the official providers do,
    unless a `namePrefix` is given.
    `undo_unclaimed`: remove what was created if the engine died before it took the answer; off
    where the resource may have existed before (a volume with data).
    """

    token: str
    inputs: Mapping[str, Field]
    outputs: frozenset[str] = frozenset()
    secret_outputs: frozenset[str] = frozenset()
    unsupported: frozenset[str] = frozenset()
    partial: bool = False
    named: bool = False
    delete_before_replace: bool = False
    undo_unclaimed: bool = False


def properties(text: str) -> frozenset[str]:
    """Property names, written one after the other."""
    return frozenset(text.split())
