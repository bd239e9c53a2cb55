"""The type of options that are a number of seconds."""

import math
from typing import Any

import click


class Seconds(click.FloatRange):
    """Seconds within bounds; NaN is outside of none, and infinity of none above."""

    # As click calls it in "'abc' is not a valid ...".
    name = "number of seconds"

    def get_metavar(self, *_: Any, **__: Any) -> str:
        """Name the value in --help; click passes what differs from version to version."""
        return "SECONDS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds: float = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is no number of seconds.", param, ctx)
        return seconds
