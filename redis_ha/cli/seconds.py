"""The type of options that are a number of seconds."""

import math
from typing import Any

import click


class Seconds(click.FloatRange):
    """Seconds within bounds; NaN is outside of none, and infinity of none above."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds: float = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is no number of seconds.", param, ctx)
        return seconds
