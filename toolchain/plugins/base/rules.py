"""Rules for single values: each returns what is wrong, or None."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Rule = Callable[[Any], str | None]


def one_of(*choices: Any) -> Rule:
    """The value is one of the given ones."""
    shown = ", ".join(repr(choice) for choice in choices)
    return lambda value: None if value in choices else f"{value!r} is none of {shown}"


def at_least(minimum: int) -> Rule:
    """The number is not below the minimum."""
    return lambda value: None if value >= minimum else f"{value} is below {minimum}"


def matching(pattern: str, *, say: str) -> Rule:
    """The whole string matches a regular expression; `say` describes the wanted form."""
    compiled = re.compile(pattern)
    return lambda value: None if compiled.fullmatch(value) else f"{value!r} is not {say}"
