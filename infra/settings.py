"""How one setting is read: from the string that Pulumi keeps to a typed value, or to a problem.

A dataclass describes a group of settings. Each of its fields carries its parser; the setting's
name is the field's name in camelCase. A field whose type is a dataclass is a group of its own.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from ipaddress import IPv4Network
from typing import Any, TypeVar

from infra.errors import ConfigRefused, Problem

T = TypeVar("T")

# Docker's own bound.
LEAST_CPUS = Decimal("0.01")
_UNITS = {"gb": 1 << 30, "mb": 1 << 20, "kb": 1 << 10, "": 1}


@dataclass(frozen=True, order=True)
class Size:
    """A number of bytes, written as redis.conf writes it: 256mb, 1gb, 0."""

    bytes: int

    def __str__(self) -> str:
        unit = next(u for u, factor in _UNITS.items() if self.bytes % factor == 0)
        return f"{self.bytes // _UNITS[unit]}{unit}" if self.bytes else "0"


@dataclass(frozen=True)
class Parser:
    """Reads one setting's text; `expects` says what it should have been when `read` fails."""

    read: Callable[[str], Any]
    expects: str


def whole(minimum: int, maximum: int) -> Parser:
    """Accept an integer of `minimum` to `maximum`, both included."""

    def read(text: str) -> int:
        value = int(text)
        if not minimum <= value <= maximum:
            raise ValueError(text)
        return value

    return Parser(read, f"a whole number from {minimum} to {maximum}")


def decimal() -> Parser:
    """Accept a number of CPUs, in its shortest decimal form; 0 is no limit."""

    def read(text: str) -> str:
        if not re.fullmatch(r"\d{1,3}(\.\d{1,9})?", text) or 0 < Decimal(text) < LEAST_CPUS:
            raise ValueError(text)
        whole_part, _, fraction = text.partition(".")
        return str(int(whole_part)) + (f".{fraction.rstrip('0')}" if fraction.rstrip("0") else "")

    return Parser(read, f"a number of CPUs such as 2 or 1.5, at least {LEAST_CPUS}, 0 for no limit")


def day() -> Parser:
    """Accept a date, or nothing."""

    def read(text: str) -> str:
        return date.fromisoformat(text).isoformat() if text else ""

    return Parser(read, "a date such as 2026-11-30")


def truth() -> Parser:
    """Accept true or false."""
    return Parser({"true": True, "false": False}.__getitem__, "true or false")


def choice(*options: str) -> Parser:
    """Accept one of the given words."""
    return Parser({option: option for option in options}.__getitem__, " | ".join(options))


def one_of(*numbers: int) -> Parser:
    """Accept one of the given integers."""
    return Parser({str(n): n for n in numbers}.__getitem__, " | ".join(map(str, numbers)))


def size() -> Parser:
    """Accept a size in bytes with redis.conf's units."""

    def read(text: str) -> Size:
        number, unit = re.fullmatch(r"(\d+)(gb|mb|kb|)", text.lower()).groups()  # type: ignore[union-attr]
        return Size(int(number) * _UNITS[unit])

    return Parser(read, "a size such as 256mb or 1gb")


def text(pattern: str, expects: str) -> Parser:
    """Accept a text that the pattern matches as a whole."""

    def read(value: str) -> str:
        return re.fullmatch(pattern, value).group()  # type: ignore[union-attr]

    return Parser(read, expects)


def words(pattern: str, expects: str) -> Parser:
    """Accept a JSON list (a YAML list in the stack's file) of texts that the pattern matches."""

    def read(value: str) -> tuple[str, ...]:
        items = _listed(value)
        if not all(re.fullmatch(pattern, item) for item in items):
            raise ValueError(value)
        return tuple(items)

    return Parser(read, f"a list of {expects}")


def subnet() -> Parser:
    """Accept an IPv4 network in CIDR form whose host bits are zero."""
    return Parser(IPv4Network, "an IPv4 network such as 172.28.0.0/24")


def subnets() -> Parser:
    """Accept a JSON list (a YAML list in the stack's file) of IPv4 networks in CIDR form."""

    def read(value: str) -> tuple[IPv4Network, ...]:
        return tuple(IPv4Network(item) for item in _listed(value))

    return Parser(read, "a list of IPv4 networks such as 10.0.1.0/24")


def labels() -> Parser:
    """Accept a JSON object (a YAML map in the stack's file) of texts, as pairs sorted by name."""

    def read(value: str) -> tuple[tuple[str, str], ...]:
        pairs = json.loads(value)
        if not all(isinstance(text, str) for text in pairs.values()):
            raise ValueError(value)
        return tuple(sorted(pairs.items()))

    return Parser(read, "a map of texts")


def setting(default: Any, parser: Parser, *, secret: bool = False) -> Any:
    """Declare a dataclass field that is read from the configuration; a secret hides its value."""
    return field(default=default, repr=not secret, metadata={"parser": parser, "secret": secret})


def group(kind: type[T]) -> T:
    """Declare a dataclass field that is a group of settings with defaults of their own."""
    return field(default_factory=kind, metadata={"group": kind})


def camel(name: str) -> str:
    """Turn a field's name into its setting's: down_after_ms -> downAfterMs."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


@dataclass(frozen=True)
class Described:
    """A setting as a reader needs it: its name, default, what it must be, and if it is secret."""

    name: str
    default: Any
    expects: str
    secret: bool


def described(kind: Any) -> list[Described]:
    """List the settings of a group and of the groups in it, in the order of their declaration."""
    return [
        Described(
            camel(each.name),
            each.default,
            each.metadata["parser"].expects,
            each.metadata["secret"],
        )
        for each in _settings(kind)
    ]


def parse(kind: type[T], values: Mapping[str, str]) -> T:
    """Build `kind` from the settings that were given, defaults for the others.

    Errors: ConfigRefused with every unknown setting and every unusable value at once.
    """
    known = {camel(f.name): f for f in _settings(kind)}
    problems = [_unknown(name, value, known) for name, value in values.items() if name not in known]
    read: dict[str, Any] = {}
    for name in known.keys() & values.keys():
        value = _read(known[name], values[name])
        if isinstance(value, Problem):
            problems.append(value)
        else:
            read[known[name].name] = value
    if problems:
        raise ConfigRefused(sorted(problems, key=lambda p: p.setting))
    return _build(kind, read)


def _listed(value: str) -> list[str]:
    items = json.loads(value)
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError(value)
    return items


def _settings(kind: Any) -> Iterator[Field[Any]]:
    for each in fields(kind):
        if "group" in each.metadata:
            yield from _settings(each.metadata["group"])
        else:
            yield each


def _build(kind: type[T], read: Mapping[str, Any]) -> T:
    arguments: dict[str, Any] = {}
    for each in fields(kind):  # type: ignore[arg-type]
        if "group" in each.metadata:
            arguments[each.name] = _build(each.metadata["group"], read)
        elif each.name in read:
            arguments[each.name] = read[each.name]
    return kind(**arguments)


def _read(declared: Field[Any], text_value: str) -> Any:
    parser: Parser = declared.metadata["parser"]
    try:
        return parser.read(text_value)
    except (ValueError, KeyError, TypeError, AttributeError):
        shown = "[secret]" if declared.metadata["secret"] else text_value
        return Problem(
            camel(declared.name), shown, "cannot be read", f"it must be {parser.expects}"
        )


def _unknown(name: str, value: str, known: Mapping[str, Field[Any]]) -> Problem:
    close = get_close_matches(name, known, n=1)
    remedy = f"did you mean {close[0]}?" if close else f"remove it: pulumi config rm {name}"
    shown = value if close and not known[close[0]].metadata["secret"] else "[not shown]"
    return Problem(name, shown, "there is no such setting", remedy)
