"""The stand-ins' schemas name the inputs of the official SDKs, with their shapes, and no other.

Each input is either supported or refused by name, so a program cannot use what the official
provider does not have, nor have an input ignored. A partial schema refuses whatever it doesn't
name.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws
import pulumi_docker
import pulumi_random
import pulumi_tls
import pytest

from toolchain.plugins.aws.plugin import PLUGIN as AWS
from toolchain.plugins.base.schema import Field, Kind, Schema
from toolchain.plugins.docker.plugin import PLUGIN as DOCKER
from toolchain.plugins.random.plugin import PLUGIN as RANDOM
from toolchain.plugins.tls.plugin import PLUGIN as TLS

if typing.TYPE_CHECKING:
    from toolchain.plugins.base.resource import ResourceType

SDKS = {"aws": pulumi_aws, "docker": pulumi_docker, "random": pulumi_random, "tls": pulumi_tls}
PLUGINS = (AWS, DOCKER, RANDOM, TLS)
TYPES: list[ResourceType] = [kind for plugin in PLUGINS for kind in plugin.connect({}).values()]
SHAPES = {
    Kind.STRING: str,
    Kind.INTEGER: int,
    Kind.NUMBER: float,
    Kind.ASSET: pulumi.Asset,
    Kind.BOOLEAN: bool,
    Kind.MAP: Mapping,
    Kind.LIST: Sequence,
    Kind.SET: Sequence,
    Kind.BLOCK: type,
}


def _camel(name: str) -> str:
    """Give a property's name; the SDK ends one that is a keyword of Python with an underscore."""
    return re.sub(r"_(\w)", lambda match: match.group(1).upper(), name.rstrip("_"))


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


def _compare(
    fields: Mapping[str, Field], unsupported: frozenset[str], cls: type, *, partial: bool
) -> None:
    arguments = _arguments(cls)
    named = set(fields) | unsupported
    assert named <= set(arguments) if partial else named == set(arguments), cls
    assert not set(fields) & unsupported
    for name, field in fields.items():
        _compare_shape(field, arguments[name], partial=partial)


def _compare_shape(field: Field, hint: Any, *, partial: bool) -> None:
    origin = typing.get_origin(hint) or hint
    if field.kind is Kind.BLOCK:
        assert isinstance(hint, type)
        _compare(field.fields, field.unsupported, hint, partial=partial)
    elif field.element is not None:
        assert origin is Sequence or issubclass(origin, Sequence), hint
        _compare_shape(field.element, _core(typing.get_args(hint)[0]), partial=partial)
    else:
        expected = SHAPES[field.kind]
        assert origin is expected or issubclass(origin, expected), (field, hint)


def _sdk_class(schema: Schema, suffix: str) -> Any:
    package, place, name = schema.token.split(":")
    module = place.partition("/")[0]
    holder = SDKS[package] if module == "index" else getattr(SDKS[package], module)
    # The SDK calls arguments so when another type's nested object has taken the name.
    taken = suffix == "Args" and hasattr(holder, f"{name}InitArgs")
    return getattr(holder, f"{name}Init{suffix}" if taken else name + suffix)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.schema.token)
def test_inputs_are_those_of_the_official_sdk(kind: ResourceType) -> None:
    schema = kind.schema
    sdk = _sdk_class(schema, "Args")
    _compare(schema.inputs, schema.unsupported, sdk, partial=schema.partial)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.schema.token)
def test_outputs_are_properties_of_the_official_sdk(kind: ResourceType) -> None:
    members = {_camel(name) for name in vars(_sdk_class(kind.schema, ""))}
    assert kind.schema.outputs | kind.schema.secret_outputs <= members


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_provider_settings_are_those_of_the_official_sdk(plugin: Any) -> None:
    expected = set(_arguments(SDKS[plugin.name].ProviderArgs))
    named = set(plugin.config.inputs) | plugin.config.unsupported
    assert named <= expected if plugin.config.partial else named == expected


@pytest.mark.parametrize("token", AWS.functions({"region": "eu-central-1"}))
def test_functions_are_those_of_the_official_sdk(token: str) -> None:
    _, place, name = token.split(":")
    module = place.partition("/")[0]
    holder = pulumi_aws if module == "index" else getattr(pulumi_aws, module)
    asking = getattr(holder, re.sub(r"([A-Z])", r"_\1", name).lower())
    assert f"'{token}'" in inspect.getsource(asking)


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_versions_are_those_of_the_installed_sdks(plugin: Any) -> None:
    utilities = __import__(f"pulumi_{plugin.name}._utilities", fromlist=["_"])
    assert utilities.get_version() == plugin.version
