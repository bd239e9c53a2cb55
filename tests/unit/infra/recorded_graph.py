"""The resource graph that the program registers, recorded as the engine would receive it."""

import asyncio
import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf import json_format
from pulumi.runtime.mocks import MockMonitor

from infra.config import ClusterConfig
from infra.deployment import deploy
from infra.planner import make_plan
from infra.settings import parse
from infra.targets.docker import host

ACCOUNT = "123456789012"
ARN = "arn:aws"
REPOSITORY = Path(__file__).parents[3]
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"
SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
# Pulumi takes the thread's event loop, and an `asyncio.run` before leaves none.
LOOP = asyncio.new_event_loop()


@dataclass(frozen=True)
class Registered:
    """One RegisterResource request: `properties` with secrets still in their envelopes."""

    type: str
    name: str
    urn: str
    properties: dict[str, Any]
    dependencies: tuple[str, ...]
    options: Any

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs as a provider sees them, secrets in clear."""
        opened = open_secrets(self.properties)
        assert isinstance(opened, dict)
        return opened


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """Answers for the providers with values that are easy to find again."""

    asked: dict[str, dict[str, Any]] = field(default_factory=dict)

    def new_resource(self, args: Any) -> tuple[str, dict[str, Any]]:
        return f"{args.name}-id", {**args.inputs, **self._made(args.typ, args.name)}

    def call(self, args: Any) -> dict[str, Any]:
        answers: Mapping[str, dict[str, Any]] = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT},
            "aws:ec2/getAmi:getAmi": {"id": "ami-0newest"},
        }
        self.asked[args.token] = args.args
        return answers[args.token]

    def _made(self, kind: str, name: str) -> dict[str, Any]:
        public = SIGNER.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        base64.b64encode(b"hidden random bytes of the stack").decode()
        made: Mapping[str, dict[str, Any]] = {
            "RandomPassword": {"result": f"hidden-{name}".replace("-", "").ljust(48, "x")},
            "RandomBytes": {
                "base64": base64.b64encode(b"hiddenrandombytesofthestack-----").decode()
            },
            "PrivateKey": {
                "privateKeyPem": f"hidden pem of {name}",
                "privateKeyPemPkcs8": f"hidden pkcs8 of {name}",
                "publicKeyPem": public,
            },
            "SelfSignedCert": {"certPem": f"certificate of {name}"},
            "LocallySignedCert": {"certPem": f"certificate of {name}"},
            "CertRequest": {"certRequestPem": f"request of {name}"},
            "RemoteImage": {"imageId": "sha256:made"},
            "Key": {"arn": f"{ARN}:kms:us-east-1:{ACCOUNT}:key/{name}", "keyId": f"{name}-id"},
            "Secret": {"arn": f"{ARN}:secretsmanager:us-east-1:{ACCOUNT}:secret:{name}-x1y2z3"},
            "Topic": {"arn": f"{ARN}:sns:us-east-1:{ACCOUNT}:{name}"},
            "VpcEndpoint": {"prefixListId": "pl-s3"},
        }
        return made.get(kind.rpartition(":")[2], {})


class RecordingMonitor(MockMonitor):
    """Keeps every request in the order in which it came."""

    def __init__(self) -> None:
        super().__init__(Recorder())
        self.registered: list[Registered] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        response = super().RegisterResource(request)
        self.registered.append(
            Registered(
                type=request.type,
                name=request.name,
                urn=response.urn,
                properties=json_format.MessageToDict(request.object),
                dependencies=tuple(request.dependencies),
                options=request,
            )
        )
        return response


class Callbacks:
    """Takes hooks as the engine does."""

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        assert hook.name


@dataclass(frozen=True)
class Graph:
    """What was registered, by type and by name, and what the stack put out."""

    registered: tuple[Registered, ...]
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: frozenset[str] = frozenset()
    # What providers were asked, by function.
    asked: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    def of_type(self, suffix: str) -> dict[str, Registered]:
        """Those of a provider's type, by name; our own components aside."""
        custom = (r for r in self.registered if r.options.custom)
        return {r.name: r for r in custom if r.type.endswith(f":{suffix}")}

    @property
    def containers(self) -> dict[str, Registered]:
        found = self.of_type("Container")
        return {name.removesuffix("-container"): each for name, each in found.items()}


def record(settings: Mapping[str, str]) -> Graph:
    """Run the program with these settings, providers answered by the recorder.

    How many CPUs this host has is not asked: the graph is the same on each.
    """
    with patch.object(host, "docker_cpus", return_value=None):
        return record_program(
            lambda: deploy(make_plan(parse(ClusterConfig, settings)), root=REPOSITORY)
        )


def record_program(declare: Callable[[], Mapping[str, Any]]) -> Graph:
    """Run a program that gives its outputs, providers answered by the recorder."""
    asyncio.set_event_loop(LOOP)
    monitor = RecordingMonitor()
    pulumi.runtime.set_mocks(monitor.mocks, project="redis-ha", stack="dev", monitor=monitor)
    # No engine here calls a hook back; to register one is enough.
    callbacks: Any = Callbacks()
    pulumi.runtime.settings.SETTINGS.callbacks = callbacks
    seen: dict[str, Any] = {}
    secret: set[str] = set()

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> pulumi.Output[None]:
        outputs = {k: pulumi.Output.from_input(v) for k, v in declare().items()}

        async def note() -> None:
            for name, output in outputs.items():
                seen[name] = await output.future()
                if await output.is_secret():
                    secret.add(name)

        return pulumi.Output.from_input(note())

    program()
    recorder = monitor.mocks
    return Graph(tuple(monitor.registered), seen, frozenset(secret), recorder.asked)


def open_secrets(value: Any) -> Any:
    """Take values out of their secret envelopes."""
    if isinstance(value, dict):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return open_secrets(value["value"])
        return {key: open_secrets(item) for key, item in value.items()}
    return [open_secrets(item) for item in value] if isinstance(value, list) else value


def leave_out_secrets(value: Any) -> Any:
    """Give what a reader of the state or of a preview sees."""
    if isinstance(value, dict):
        if value.get(SIGNATURE_KEY) == SECRET_SIGNATURE:
            return "[secret]"
        return {key: leave_out_secrets(item) for key, item in value.items()}
    return [leave_out_secrets(item) for item in value] if isinstance(value, list) else value


def hidden_words(text: str) -> list[str]:
    """Find what the recorder made to be kept secret."""
    return re.findall(r"hidden[a-z0-9 ]*|AGE-SECRET-KEY\S*", text)
