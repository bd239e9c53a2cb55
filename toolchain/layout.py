"""Where things are: what belongs to this checkout, and what all checkouts share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Layout:
    """The folders of one checkout and the cache that outlives it."""

    checkout: Path
    cache: Path

    @property
    def venv(self) -> Path:
        """The project's virtual environment; Pulumi.yaml names it too."""
        return self.checkout / ".venv"

    @property
    def python(self) -> Path:
        """The interpreter that has the project's dependencies."""
        return self.venv / "bin" / "python"

    @property
    def state(self) -> Path:
        """What the embedded default environment keeps: 0700, never committed."""
        return self.checkout / ".redis-ha"

    @property
    def pulumi_home(self) -> Path:
        """PULUMI_HOME of this checkout: two checkouts never share a stand-in's code."""
        return self.state / "pulumi-home"

    @property
    def requirements(self) -> Path:
        """The pinned direct dependencies: the one place that names Pulumi's versions."""
        return self.checkout / "requirements.txt"


def locate(environment: Mapping[str, str], *, home: Path, checkout: Path = CHECKOUT) -> Layout:
    """Find the folders from XDG_CACHE_HOME (or ~/.cache) and the place of this file."""
    base = environment.get("XDG_CACHE_HOME") or home / ".cache"
    return Layout(checkout=checkout, cache=Path(base) / "redis-ha")
