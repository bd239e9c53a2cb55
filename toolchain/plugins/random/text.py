"""Random strings: at least so many of each class, the rest from all allowed classes."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"  # the official provider's default set


@dataclass(frozen=True)
class CharacterClass:
    """Characters that may be used, and how many of them there must be at least."""

    characters: str
    allowed: bool
    minimum: int


@dataclass(frozen=True)
class TextRule:
    """What the wanted string looks like."""

    length: int
    classes: tuple[CharacterClass, ...]

    def fault(self) -> str | None:
        """What makes the rule impossible to follow, or None."""
        needed = sum(part.minimum for part in self.classes)
        if self.length < needed:
            return f"length {self.length} is below the sum of the minima, {needed}"
        if not any(part.allowed for part in self.classes):
            return "no class of characters is allowed"
        return None


def rule_of(inputs: dict[str, object]) -> TextRule:
    """Read the rule from the checked inputs of RandomPassword or RandomString."""
    special = str(inputs.get("overrideSpecial") or SPECIAL)
    numeric = inputs.get("numeric") is not False and inputs.get("number") is not False
    classes = (
        (string.ascii_uppercase, inputs.get("upper"), inputs.get("minUpper")),
        (string.ascii_lowercase, inputs.get("lower"), inputs.get("minLower")),
        (string.digits, numeric, inputs.get("minNumeric")),
        (special, inputs.get("special"), inputs.get("minSpecial")),
    )
    return TextRule(
        length=int(str(inputs["length"])),
        classes=tuple(
            CharacterClass(characters, allowed is not False, int(str(minimum or 0)))
            for characters, allowed, minimum in classes
        ),
    )


def generate(rule: TextRule, source: random.Random) -> str:
    """Draw a string; `source` must be cryptographically secure outside of tests."""
    pool = "".join(part.characters for part in rule.classes if part.allowed)
    drawn = [source.choice(part.characters) for part in rule.classes for _ in range(part.minimum)]
    drawn += [source.choice(pool) for _ in range(rule.length - len(drawn))]
    source.shuffle(drawn)
    return "".join(drawn)
