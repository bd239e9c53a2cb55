"""docker:index/remoteImage:RemoteImage: an image that is built, or pulled when it is missing.

A changed file in the build context is no change of an input: `triggers` (a hash of the content)
make it one. Source: terraform-provider-docker, resource_docker_image*.go.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from docker.errors import NotFound
from docker.utils import parse_repository_tag
from typing_extensions import override

from toolchain.plugins.base.checking import Failure
from toolchain.plugins.base.errors import OperationFailed
from toolchain.plugins.base.resource import Made, Operation, ResourceType
from toolchain.plugins.base.rules import one_of
from toolchain.plugins.base.schema import (
    BOOLEAN,
    MAP,
    STRING,
    STRING_SET,
    STRINGS,
    Schema,
    block,
    properties,
)
from toolchain.plugins.docker.progress import last_words

if TYPE_CHECKING:
    from toolchain.plugins.docker.daemon import Daemon

_BUILD: Final = block(
    {
        "buildArgs": MAP,
        "context": STRING.but(required=True),
        "dockerfile": STRING.but(default="Dockerfile"),
        "forceRemove": BOOLEAN,
        "labels": MAP,
        "label": MAP,
        "noCache": BOOLEAN,
        "pullParent": BOOLEAN,
        "remove": BOOLEAN.but(default=True),
        "tags": STRINGS,
        "target": STRING,
        "useLegacyBuilder": BOOLEAN.but(rule=one_of(True)),
    },
    unsupported=properties(
        "additionalContexts authConfigs buildId buildLogFile builder cacheFroms "
        "cacheTos cgroupParent cpuPeriod cpuQuota cpuSetCpus cpuSetMems cpuShares "
        "extraHosts isolation memory memorySwap networkMode platform provenance "
        "remoteContext sbom secrets securityOpts sessionId shmSize squash "
        "suppressOutput ulimits version"
    ),
)

SCHEMA: Final = Schema(
    "docker:index/remoteImage:RemoteImage",
    inputs={
        "build": _BUILD,
        "forceRemove": BOOLEAN.but(replaces=False),
        "keepLocally": BOOLEAN.but(replaces=False),
        "name": STRING.but(required=True),
        "pullTriggers": STRING_SET,
        "triggers": MAP,
    },
    outputs=properties("imageId repoDigest"),
    unsupported=properties("platform"),
)


class RemoteImage(ResourceType):
    """An image; its id is the image's id followed by its name, as the official provider has it."""

    schema = SCHEMA

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @override
    def check(self, inputs: dict[str, Any]) -> list[Failure]:
        """A built image cannot be pulled again."""
        if inputs.get("build") and inputs.get("pullTriggers"):
            return [Failure("pullTriggers", "conflicts with build; use triggers")]
        return []

    @override
    def create(self, inputs: dict[str, Any], operation: Operation) -> Made:
        """Build it; without a build block use the local image or pull it."""
        name = inputs["name"]
        if inputs.get("build"):
            self._build(name, inputs["build"], operation)
        seen = self._find(name)
        if seen is None:
            self._pull(name, operation)
            seen = self._find(name)
        if seen is None:
            raise OperationFailed(
                operation="find", subject=f"image {name}", cause="it is gone right after it came"
            )
        return _made(seen, inputs)

    @override
    def read(self, identity: str, state: dict[str, Any], operation: Operation) -> Made | None:
        """Read what the name points to now."""
        known = {**state, "name": _name(identity, state)}
        seen = self._find(known["name"])
        return None if seen is None else _made(seen, known)

    @override
    def delete(self, identity: str, state: dict[str, Any], operation: Operation) -> None:
        """Remove it, unless it shall be kept locally."""
        name = _name(identity, state)
        if state.get("keepLocally") or self._find(name) is None:
            return
        hint = "set keepLocally, or remove the containers that use it"
        with self._daemon.attempt("remove", f"image {name}", hint=hint):
            self._daemon.api.remove_image(name, force=state.get("forceRemove", False))

    def _find(self, name: str) -> dict[str, Any] | None:
        return self._daemon.find(self._daemon.api.inspect_image, name)

    def _pull(self, name: str, operation: Operation) -> None:
        repository, tag = parse_repository_tag(name)
        subject = f"image {name}"
        hint = "is the registry reachable from the daemon, and is the name right?"
        with self._daemon.attempt("pull", subject, hint=hint):
            try:
                stream = self._daemon.api.pull(
                    repository, tag or "latest", stream=True, decode=True
                )
                last_words(stream, "pull", subject, lifetime=operation.lifetime)
            except NotFound as error:
                cause = str(error.explanation)
                raise OperationFailed(
                    operation="pull", subject=subject, cause=cause, hint=hint
                ) from error

    def _build(self, name: str, build: dict[str, Any], operation: Operation) -> None:
        context = Path(build["context"]).expanduser().resolve()
        subject = f"image {name} from {context}"
        if not context.is_dir():
            raise OperationFailed(operation="build", subject=subject, cause="no such directory")
        with self._daemon.attempt("build", subject):
            stream = self._daemon.api.build(decode=True, **build_options(name, build, context))
            last_words(stream, "build", subject, lifetime=operation.lifetime)
            for extra in build.get("tags", []):
                repository, tag = parse_repository_tag(extra)
                self._daemon.api.tag(name, repository, tag or "latest")


def build_options(name: str, build: dict[str, Any], context: Path) -> dict[str, Any]:
    """What the SDK's build takes; it honours .dockerignore itself. Pure."""
    return {
        "path": str(context),
        "dockerfile": build.get("dockerfile", "Dockerfile"),
        "tag": name,
        "buildargs": build.get("buildArgs", {}),
        "labels": {**build.get("label", {}), **build.get("labels", {})},
        "nocache": build.get("noCache", False),
        "pull": build.get("pullParent", False),
        "rm": build.get("remove", True),
        "forcerm": build.get("forceRemove", False),
        "target": build.get("target") or None,
    }


def _name(identity: str, state: dict[str, Any]) -> str:
    """The name; an image that is just being imported has only its id."""
    return str(state.get("name") or identity.removeprefix("sha256:")[64:])


def _made(seen: dict[str, Any], known: dict[str, Any]) -> Made:
    name = known["name"]
    repository = parse_repository_tag(name)[0]
    digests = [d for d in seen.get("RepoDigests") or [] if d.split("@")[0] == repository]
    state = {**known, "imageId": seen["Id"], "repoDigest": digests[0] if digests else ""}
    return Made(seen["Id"] + name, state)
