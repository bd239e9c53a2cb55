"""Which passwords, keys and certificates are used, and which are still (or already) accepted.

A rotation is three states of one setting, each applied by an `up`: `1`, then `1+2` (the new is
accepted beside the old), `2+1` (the new is used, the old still accepted), `2`.
"""

import re
from dataclasses import dataclass

from infra.settings import Parser

_FORM = re.compile(r"([1-9]\d{0,5})(?:\+([1-9]\d{0,5}))?")


@dataclass(frozen=True)
class Generation:
    """The number of what is used, and of what is accepted besides; None where nothing is."""

    used: int = 1
    accepted: int | None = None

    def __str__(self) -> str:
        return str(self.used) if self.accepted is None else f"{self.used}+{self.accepted}"

    @property
    def all(self) -> tuple[int, ...]:
        """Both numbers, the one that is used first."""
        return (self.used,) if self.accepted is None else (self.used, self.accepted)


def generation() -> Parser:
    """Accept `N`, or `N+M` where M is the number before or after N."""

    def read(text: str) -> Generation:
        used, accepted = _FORM.fullmatch(text).groups()  # type: ignore[union-attr]
        if accepted is None:
            return Generation(int(used))
        if abs(int(used) - int(accepted)) != 1:
            raise ValueError(text)
        return Generation(int(used), int(accepted))

    return Parser(read, "a number, or two neighbouring ones such as 1+2, the used one first")


def nth(name: str, number: int) -> str:
    """Name the resource of a generation; the first has the bare name."""
    return name if number == 1 else f"{name}-{number}"
