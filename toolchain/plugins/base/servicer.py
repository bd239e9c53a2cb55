"""The gRPC ResourceProvider that serves any `Plugin`.

Source: sdk/proto/pulumi/provider.proto of Pulumi 3; what the engine really calls, and when, was
observed with version 3.259.
"""

# ruff: noqa: ARG002, N802 - the protocol fixes the names of methods and arguments

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from toolchain.plugins.base import checking, diffing
from toolchain.plugins.base.errors import InitFailed, PluginError
from toolchain.plugins.base.resource import Operation
from toolchain.plugins.base.values import UNKNOWN, Secret, decode, encode, reveal, seal
from toolchain.plugins.base.wire import abort, abort_init, wire_diff, wire_failures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolchain.plugins.base.engine import Engine
    from toolchain.plugins.base.lifetime import Lifetime
    from toolchain.plugins.base.resource import Function, Made, Plugin, ResourceType
    from toolchain.plugins.base.schema import Schema
    from toolchain.plugins.base.wire import Context


class ProviderServicer(provider_pb2_grpc.ResourceProviderServicer):
    """Translates between the engine's calls and a plugin's resource types."""

    def __init__(self, plugin: Plugin, *, lifetime: Lifetime, engine: Engine) -> None:
        self._plugin = plugin
        self._lifetime = lifetime
        self._engine = engine
        self._types: Mapping[str, ResourceType] = {}
        self._functions: Mapping[str, Function] = {}

    # The plugin itself

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: Context
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Agree on what values may look like; must say the same as Configure."""
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=True, accept_outputs=False
        )

    def GetPluginInfo(self, request: empty_pb2.Empty, context: Context) -> plugin_pb2.PluginInfo:
        """Name the version of the official plugin this one stands in for."""
        return plugin_pb2.PluginInfo(version=self._plugin.version)

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: Context
    ) -> provider_pb2.CheckResponse:
        """Check the provider's own configuration."""
        news = decode(request.news)
        news.pop("version", None)  # the SDK adds the plugin's version to an explicit provider
        found = checking.failures(self._plugin.config, news)
        return provider_pb2.CheckResponse(inputs=request.news, failures=wire_failures(found))

    def DiffConfig(
        self, request: provider_pb2.DiffRequest, context: Context
    ) -> provider_pb2.DiffResponse:
        """Compare the provider's configuration; a change never replaces the resources."""
        found = diffing.changes(self._plugin.config, decode(request.olds), decode(request.news))
        return wire_diff({n: diffing.Change(c.kind, replaces=False) for n, c in found.items()})

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: Context
    ) -> provider_pb2.ConfigureResponse:
        """Take the configuration; connecting waits for the first call that needs it."""
        config = reveal(decode(request.args))
        self._types = self._plugin.connect(config)
        self._functions = self._plugin.functions(config)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, acceptResources=True, acceptOutputs=False, supportsPreview=True
        )

    def Cancel(self, request: empty_pb2.Empty, context: Context) -> empty_pb2.Empty:
        """Cut every wait short; the engine also calls this at the end of each run."""
        self._lifetime.stop()
        return empty_pb2.Empty()

    def Invoke(
        self, request: provider_pb2.InvokeRequest, context: Context
    ) -> provider_pb2.InvokeResponse:
        """Answer a function of the provider."""
        if request.tok not in self._functions:
            abort(context, f"{self._who()} has no function {request.tok}")
        try:
            answer = self._functions[request.tok](reveal(decode(request.args)))
        except PluginError as error:
            abort(context, str(error))
        return provider_pb2.InvokeResponse(**{"return": encode(answer)})

    def Call(
        self, request: provider_pb2.CallRequest, context: Context
    ) -> provider_pb2.CallResponse:
        """Refuse: no method is offered."""
        abort(context, f"{self._who()} has no methods: {request.tok} cannot be called")

    # Resources

    def Check(
        self, request: provider_pb2.CheckRequest, context: Context
    ) -> provider_pb2.CheckResponse:
        """Complete and check a resource's inputs."""
        kind = self._type(request.urn, context)
        name = request.urn.split("::", 3)[3]
        inputs = checking.complete(
            kind.schema,
            decode(request.news),
            olds=decode(request.olds),
            name=name,
            seed=request.randomSeed,
        )
        found = checking.failures(kind.schema, inputs) or kind.check(_plain(inputs))
        return provider_pb2.CheckResponse(inputs=encode(inputs), failures=wire_failures(found))

    def Diff(
        self, request: provider_pb2.DiffRequest, context: Context
    ) -> provider_pb2.DiffResponse:
        """Compare the last state with new inputs, ignoring what the program says to ignore."""
        kind = self._type(request.urn, context)
        state, inputs = reveal(decode(request.olds)), reveal(decode(request.news))
        ignored = {path.split(".")[0].split("[")[0] for path in request.ignoreChanges}
        found = {n: c for n, c in kind.diff(state, inputs).items() if n not in ignored}
        first = diffing.deletes_first(kind.schema, state, inputs, found)
        return wire_diff(found, delete_before_replace=first)

    def Create(
        self, request: provider_pb2.CreateRequest, context: Context
    ) -> provider_pb2.CreateResponse:
        """Make a resource, or foretell its state in a preview."""
        kind = self._type(request.urn, context)
        inputs = decode(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=encode(_foretell(kind.schema, inputs)))
        with self._lifetime.operation():
            made = self._create(kind, inputs, self._operation(request.urn), context)
            if kind.schema.undo_unclaimed and not context.is_active():
                kind.delete(made.identity, made.state, self._operation(request.urn))
        state = _sealed(kind.schema, made.state, inputs)
        return provider_pb2.CreateResponse(id=made.identity, properties=encode(state))

    def _create(
        self, kind: ResourceType, inputs: dict[str, Any], operation: Operation, context: Context
    ) -> Made:
        try:
            return kind.create(_plain(inputs), operation)
        except InitFailed as error:
            if kind.schema.undo_unclaimed and not context.is_active():
                kind.delete(error.identity, error.state, operation)
            abort_init(context, error, _sealed(kind.schema, error.state, inputs), inputs)
        except PluginError as error:
            abort(context, str(error))

    def Read(
        self, request: provider_pb2.ReadRequest, context: Context
    ) -> provider_pb2.ReadResponse:
        """Look at a resource; an empty answer means that it is gone."""
        kind = self._type(request.urn, context)
        state, inputs = decode(request.properties), decode(request.inputs)
        try:
            with self._lifetime.operation():
                made = kind.read(request.id, reveal(state), self._operation(request.urn))
        except PluginError as error:
            abort(context, str(error))
        if made is None:
            return provider_pb2.ReadResponse()
        seen = _sealed(kind.schema, made.state, inputs, state)
        return provider_pb2.ReadResponse(
            id=made.identity, properties=encode(seen), inputs=request.inputs
        )

    def Update(
        self, request: provider_pb2.UpdateRequest, context: Context
    ) -> provider_pb2.UpdateResponse:
        """Change a resource in place, or foretell its state in a preview."""
        kind = self._type(request.urn, context)
        state, inputs = decode(request.olds), decode(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=encode({**state, **inputs}))
        try:
            with self._lifetime.operation():
                new = kind.update(
                    request.id, reveal(state), _plain(inputs), self._operation(request.urn)
                )
        except InitFailed as error:
            abort_init(context, error, _sealed(kind.schema, error.state, inputs), inputs)
        except PluginError as error:
            abort(context, str(error))
        return provider_pb2.UpdateResponse(properties=encode(_sealed(kind.schema, new, inputs)))

    def Delete(self, request: provider_pb2.DeleteRequest, context: Context) -> empty_pb2.Empty:
        """Remove a resource."""
        kind = self._type(request.urn, context)
        try:
            with self._lifetime.operation():
                kind.delete(
                    request.id, reveal(decode(request.properties)), self._operation(request.urn)
                )
        except PluginError as error:
            abort(context, str(error))
        return empty_pb2.Empty()

    def _type(self, urn: str, context: Context) -> ResourceType:
        token = urn.split("::")[2].rsplit("$", maxsplit=1)[-1]
        if token not in self._types:
            offered = ", ".join(sorted(self._types))
            abort(context, f"{self._who()} does not offer {token}; it offers {offered}")
        return self._types[token]

    def _operation(self, urn: str) -> Operation:
        return Operation(urn, self._lifetime, warn=lambda text: self._engine.warn(text, urn=urn))

    def _who(self) -> str:
        return f"the stand-in plugin {self._plugin.name} {self._plugin.version}"


def _plain(inputs: dict[str, Any]) -> dict[str, Any]:
    return {name: reveal(value) for name, value in inputs.items() if name != checking.DEFAULTS}


def _foretell(schema: Schema, inputs: dict[str, Any]) -> dict[str, Any]:
    later = {name for name, spec in schema.inputs.items() if spec.computed} | schema.outputs
    secret = dict.fromkeys(schema.secret_outputs, Secret(UNKNOWN))
    return {**dict.fromkeys(later, UNKNOWN), **secret, **inputs}


def _sealed(schema: Schema, state: dict[str, Any], *sources: dict[str, Any]) -> dict[str, Any]:
    always = {name: Secret(None) for name in schema.secret_outputs}
    inputs = sources[0]
    marks = {checking.DEFAULTS: inputs[checking.DEFAULTS]} if checking.DEFAULTS in inputs else {}
    return {**seal(state, like=[always, *sources]), **marks}
