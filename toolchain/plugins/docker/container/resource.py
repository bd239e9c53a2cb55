"""The container's operations on the daemon."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from docker.errors import APIError, NotFound
from typing_extensions import override

from toolchain.plugins.base import diffing
from toolchain.plugins.base.errors import Cancelled, InitFailed, OperationFailed
from toolchain.plugins.base.resource import Made, Operation, ResourceType
from toolchain.plugins.docker.container import files, health, request, rules
from toolchain.plugins.docker.container.schema import NOTED, SCHEMA, UPDATED
from toolchain.plugins.docker.container.state import observed

if TYPE_CHECKING:
    from toolchain.plugins.base.checking import Failure
    from toolchain.plugins.docker.daemon import Daemon

_SETTLE: Final = 0.1  # seconds after the start in which an exit counts as a failed start
_POLL: Final = 0.25  # seconds between looks at the health
_LOG_LINES: Final = 20


class Container(ResourceType):
    """A container; its id is Docker's."""

    schema = SCHEMA

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @override
    def check(self, inputs: dict[str, Any]) -> list[Failure]:
        """Rules between properties."""
        return list(rules.failures(inputs))

    @override
    def create(self, inputs: dict[str, Any], operation: Operation) -> Made:
        """Create, connect, fill and start it; a container that fails on the way is removed."""
        name = inputs["name"]
        hint = "is there another container of that name, and is the image the id of a local one?"
        with self._daemon.attempt("create", f"container {name}", hint=hint):
            body = request.creation(inputs)
            identity = self._daemon.create_container(body, name)
        try:
            self._bring_up(identity, inputs, operation)
        except Exception as error:
            self._undo(identity, inputs, error)
            raise
        return Made(identity, self._ready_state(identity, inputs, operation))

    @override
    def read(self, identity: str, state: dict[str, Any], operation: Operation) -> Made | None:
        """Read it from the daemon; one that must run and does not is removed."""
        seen = self._daemon.find(self._daemon.api.inspect_container, identity)
        if seen is None:
            return None
        if state.get("mustRun") and not seen["State"]["Running"]:
            self.delete(identity, state, operation)
            return None
        return Made(seen["Id"], {**state, **observed(seen)})

    @override
    def update(
        self,
        identity: str,
        state: dict[str, Any],
        inputs: dict[str, Any],
        operation: Operation,
    ) -> dict[str, Any]:
        """Change limits and restart policy in place, and wait as after a creation.

        The wait matters after a failed one: the engine then calls an update, and the container
        counts as ready only if it is.
        """
        changed = set(diffing.changes(SCHEMA, state, inputs))
        if changed & UPDATED:
            with self._daemon.attempt("update", f"container {inputs['name']}"):
                self._daemon.api.update_container(identity, **request.update(inputs))
        for name in sorted(changed & NOTED):
            operation.warn(
                f"{name} is noted, but the running container keeps the old value, as with the "
                f"official provider; name it in replaceOnChanges to have it applied"
            )
        noted = {name: inputs[name] for name in NOTED if name in inputs}
        return {**self._ready_state(identity, inputs, operation), **noted}

    @override
    def delete(self, identity: str, state: dict[str, Any], operation: Operation) -> None:
        """Stop it, at once unless destroyGraceSeconds gives it time, and remove it."""
        subject = f"container {state.get('name', identity)}"
        with self._daemon.attempt("remove", subject):
            try:
                self._daemon.api.stop(identity, timeout=state.get("destroyGraceSeconds") or 0)
            except NotFound:
                return
            self._remove(identity, remove_volumes=state.get("removeVolumes", True))

    def _remove(self, identity: str, *, remove_volumes: bool) -> None:
        with self._daemon.attempt("remove", f"container {identity}"):
            try:
                self._daemon.api.remove_container(identity, v=remove_volumes, force=True)
            except NotFound:
                return
            except APIError as error:
                if "is already in progress" not in str(error.explanation):
                    raise

    def _undo(self, identity: str, inputs: dict[str, Any], error: Exception) -> None:
        """Remove the half-made container; one that cannot be removed stays in the state."""
        try:
            self._remove(identity, remove_volumes=True)
        except OperationFailed as second:
            reason = f"{error}; and then: {second}"
            raise InitFailed(identity=identity, state=inputs, reason=reason) from error

    def _ready_state(
        self, identity: str, inputs: dict[str, Any], operation: Operation
    ) -> dict[str, Any]:
        """Its state, once it is healthy; a container that cannot be looked at is not lost."""
        try:
            if inputs["start"] and inputs["wait"]:
                self._await_health(identity, inputs, operation)
            return self._state(identity, inputs)
        except OperationFailed as error:
            raise InitFailed(identity=identity, state=inputs, reason=str(error)) from error

    def _bring_up(self, identity: str, inputs: dict[str, Any], operation: Operation) -> None:
        name = inputs["name"]
        with self._daemon.attempt("set up", f"container {name}"):
            self._connect(identity, inputs.get("networksAdvanced", []))
            if inputs.get("uploads"):
                self._daemon.api.put_archive(identity, "/", files.archive(inputs["uploads"]))
        if operation.lifetime.stopping:
            raise Cancelled(
                operation="start", subject=f"container {name}", cause="the run was cancelled"
            )
        if inputs["start"]:
            with self._daemon.attempt("start", f"container {name}"):
                self._daemon.api.start(identity)
            if inputs["mustRun"] and not inputs["wait"]:
                self._refuse_exit(identity, name)

    def _connect(self, identity: str, networks: list[dict[str, Any]]) -> None:
        """Leave the default bridge for the given networks, as the official provider does."""
        if not networks:
            return
        try:
            self._daemon.api.disconnect_container_from_network(identity, "bridge")
        except APIError as error:
            if "is not connected to" not in str(error.explanation):
                raise
        for network in networks:
            self._daemon.api.connect_container_to_network(
                identity,
                network["name"],
                aliases=network.get("aliases"),
                ipv4_address=network.get("ipv4Address"),
                ipv6_address=network.get("ipv6Address"),
            )

    def _refuse_exit(self, identity: str, name: str) -> None:
        time.sleep(_SETTLE)
        state = self._inspect(identity)["State"]
        if not state["Running"]:
            raise OperationFailed(
                operation="run",
                subject=f"container {name}",
                cause=f"it exited at once with code {state['ExitCode']}",
                hint=self._last_lines(identity),
            )

    def _await_health(self, identity: str, inputs: dict[str, Any], operation: Operation) -> None:
        """Wait for "healthy"; raises InitFailed, so that the container stays in the state."""
        end = time.monotonic() + inputs["waitTimeout"]
        while True:
            found = health.judge(self._inspect(identity))
            if found.ready:
                return
            reason = found.hopeless
            if reason is None and time.monotonic() > end:
                reason = f"it did not become healthy within {inputs['waitTimeout']} s"
            elif reason is None and operation.lifetime.pause(_POLL):
                reason = "the run was cancelled before it became healthy"
            if reason:
                raise self._not_ready(identity, inputs, f"{reason}; {found.detail}")

    def _not_ready(self, identity: str, inputs: dict[str, Any], cause: str) -> InitFailed:
        lines = self._last_lines(identity)
        reason = f"container {inputs['name']} is not ready: {cause}\n{lines}"
        return InitFailed(identity=identity, state=self._state(identity, inputs), reason=reason)

    def _last_lines(self, identity: str) -> str:
        with self._daemon.attempt("read the log of", f"container {identity}"):
            output = self._daemon.api.logs(identity, tail=_LOG_LINES)
        return f"its last output:\n{output.decode(errors='replace').strip() or '(none)'}"

    def _inspect(self, identity: str) -> dict[str, Any]:
        with self._daemon.attempt("inspect", f"container {identity}"):
            seen: dict[str, Any] = self._daemon.api.inspect_container(identity)
        return seen

    def _state(self, identity: str, inputs: dict[str, Any]) -> dict[str, Any]:
        return {**inputs, **observed(self._inspect(identity))}
