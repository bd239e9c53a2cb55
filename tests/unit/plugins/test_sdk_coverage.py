"""The stand-ins' schemas name every input of the official SDKs, with its shape, and no other.

Each input is either supported or refused by name, so a program cannot use what the official
provider does not have, nor have an input ignored.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_docker
import pulumi_random
import pulumi_tls
import pytest

from toolchain.plugins.base.schema import Field, Kind, Schema
from toolchain.plugins.docker.plugin import PLUGIN as DOCKER
from toolchain.plugins.random.plugin import PLUGIN as RANDOM
from toolchain.plugins.tls.plugin import PLUGIN as TLS

if typing.TYPE_CHECKING:
    from toolchain.plugins.base.resource import ResourceType

SDKS = {"docker": pulumi_docker, "random": pulumi_random, "tls": pulumi_tls}
TYPES: list[ResourceType] = [
    kind for plugin in (DOCKER, RANDOM, TLS) for kind in plugin.connect({}).values()
]
SHAPES = {
    Kind.STRING: str,
    Kind.INTEGER: int,
    Kind.BOOLEAN: bool,
    Kind.MAP: Mapping,
    Kind.LIST: Sequence,
    Kind.SET: Sequence,
    Kind.BLOCK: type,
}


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match.group(1).upper(), name)


def _arguments(cls: type) -> dict[str, Any]:
    """The constructor's annotations, without Input and Optional around them."""
    module = vars(__import__(cls.__module__, fromlist=["_"]))
    forward = {"Output": pulumi.Output, "T": typing.TypeVar("T")}  # inside pulumi.Input
    hints = typing.get_type_hints(cls.__init__, {**module, **forward})
    hints.pop("return", None)
    return {_camel(name): _core(hint) for name, hint in hints.items()}


def _core(hint: Any) -> Any:
    """Reduce Union[T, Awaitable[T], Output[T], None] to T."""
    if typing.get_origin(hint) != typing.Union:
        return hint
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    direct = [p for p in parts if not str(p).startswith(("typing.Awaitable", "pulumi.output"))]
    return _core(direct[0])


def _compare(fields: Mapping[str, Field], unsupported: frozenset[str], cls: type) -> None:
    arguments = _arguments(cls)
    assert set(fields) | unsupported == set(arguments), cls
    assert not set(fields) & unsupported
    for name, field in fields.items():
        _compare_shape(field, arguments[name])


def _compare_shape(field: Field, hint: Any) -> None:
    origin = typing.get_origin(hint) or hint
    if field.kind is Kind.BLOCK:
        assert isinstance(hint, type)
        _compare(field.fields, field.unsupported, hint)
    elif field.element is not None:
        assert origin is Sequence or issubclass(origin, Sequence), hint
        _compare_shape(field.element, _core(typing.get_args(hint)[0]))
    else:
        expected = SHAPES[field.kind]
        assert origin is expected or issubclass(origin, expected), (field, hint)


def _sdk_class(schema: Schema, suffix: str) -> Any:
    package, _, name = schema.token.split(":")
    return getattr(SDKS[package], name + suffix)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.schema.token)
def test_inputs_are_those_of_the_official_sdk(kind: ResourceType) -> None:
    _compare(kind.schema.inputs, kind.schema.unsupported, _sdk_class(kind.schema, "Args"))


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.schema.token)
def test_outputs_are_properties_of_the_official_sdk(kind: ResourceType) -> None:
    members = {_camel(name) for name in vars(_sdk_class(kind.schema, ""))}
    assert kind.schema.outputs | kind.schema.secret_outputs <= members


@pytest.mark.parametrize("plugin", [DOCKER, RANDOM, TLS], ids=lambda plugin: plugin.name)
def test_provider_settings_are_those_of_the_official_sdk(plugin: Any) -> None:
    expected = set(_arguments(SDKS[plugin.name].ProviderArgs))
    assert set(plugin.config.inputs) | plugin.config.unsupported == expected


@pytest.mark.parametrize("plugin", [DOCKER, RANDOM, TLS], ids=lambda plugin: plugin.name)
def test_versions_are_those_of_the_installed_sdks(plugin: Any) -> None:
    utilities = __import__(f"pulumi_{plugin.name}._utilities", fromlist=["_"])
    assert utilities.get_version() == plugin.version
