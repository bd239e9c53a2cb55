"""Rules between a container's properties, which the schema cannot say. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolchain.plugins.base.checking import Failure
from toolchain.plugins.base.values import Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator


def failures(inputs: dict[str, Any]) -> Iterator[Failure]:
    """What the daemon or the official provider would refuse only later."""
    if inputs.get("uploads") and inputs.get("readOnly") is True:
        yield Failure("uploads", "Docker refuses to copy files into a container with readOnly")
    if inputs.get("start") is False and inputs.get("mustRun") is not False:
        yield Failure("start", "a container that is not started needs mustRun: false")
    if "" in _list(inputs, "command"):
        yield Failure("command", "an argument may not be empty")
    for index, upload in enumerate(_list(inputs, "uploads")):
        yield from _upload(upload, f"uploads[{index}]")
    for index, volume in enumerate(_list(inputs, "volumes")):
        yield from _volume(volume, f"volumes[{index}]")


def _upload(upload: dict[str, Any], path: str) -> Iterator[Failure]:
    if isinstance(upload, Unknown):
        return
    given = [name for name in ("content", "contentBase64", "source") if upload.get(name)]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        yield Failure(path, f"exactly one of content, contentBase64 and source, not {found}")


def _volume(volume: dict[str, Any], path: str) -> Iterator[Failure]:
    if isinstance(volume, Unknown):
        return
    if bool(volume.get("fromContainer")) == bool(volume.get("containerPath")):
        yield Failure(path, "exactly one of containerPath and fromContainer")


def _list(inputs: dict[str, Any], name: str) -> list[Any]:
    value = inputs.get(name)
    return [] if value is None or isinstance(value, Unknown) else list(value)
