"""The types of the `random` provider. Every input replaces: a value is drawn once."""

from __future__ import annotations

import base64
import random
import secrets
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from toolchain.plugins.base.checking import Failure
from toolchain.plugins.base.resource import Made, Operation, Plugin, ResourceType
from toolchain.plugins.base.rules import at_least
from toolchain.plugins.base.schema import BOOLEAN, INTEGER, MAP, STRING, Field, Schema, properties
from toolchain.plugins.base.values import holds_unknown
from toolchain.plugins.random.text import generate, rule_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_COUNT: Final = INTEGER.but(default=0, rule=at_least(0))
_TEXT_INPUTS: Final[Mapping[str, Field]] = {
    "keepers": MAP,
    "length": INTEGER.but(required=True, rule=at_least(1)),
    "lower": BOOLEAN.but(default=True),
    "minLower": _COUNT,
    "minNumeric": _COUNT,
    "minSpecial": _COUNT,
    "minUpper": _COUNT,
    "number": BOOLEAN.but(computed=True),
    "numeric": BOOLEAN.but(computed=True),
    "overrideSpecial": STRING,
    "special": BOOLEAN.but(default=True),
    "upper": BOOLEAN.but(default=True),
}


class RandomText(ResourceType):
    """RandomPassword and RandomString."""

    def __init__(self, schema: Schema, *, id_is_result: bool) -> None:
        self.schema = schema
        self._id_is_result = id_is_result

    @override
    def check(self, inputs: dict[str, Any]) -> list[Failure]:
        """Refuse a rule that no string can follow."""
        fault = None if holds_unknown(inputs) else rule_of(inputs).fault()
        return [Failure("length", fault)] if fault else []

    @override
    def create(self, inputs: dict[str, Any], operation: Operation) -> Made:
        """Draw the string."""
        result = generate(rule_of(inputs), random.SystemRandom())
        numeric = inputs.get("numeric", inputs.get("number", True))
        state = {**inputs, "number": numeric, "numeric": numeric, "result": result}
        return Made(result if self._id_is_result else "none", state)


class RandomBytes(ResourceType):
    """Bytes, given as base64 and as hexadecimal digits."""

    schema = Schema(
        "random:index/randomBytes:RandomBytes",
        inputs={"keepers": MAP, "length": INTEGER.but(required=True, rule=at_least(1))},
        outputs=properties("base64 hex"),
        secret_outputs=properties("base64 hex"),
    )

    @override
    def create(self, inputs: dict[str, Any], operation: Operation) -> Made:
        """Draw the bytes."""
        drawn = secrets.token_bytes(inputs["length"])
        state = {**inputs, "base64": base64.b64encode(drawn).decode(), "hex": drawn.hex()}
        return Made("none", state)


class RandomId(ResourceType):
    """An identifier that is no secret, in four notations."""

    schema = Schema(
        "random:index/randomId:RandomId",
        inputs={
            "byteLength": INTEGER.but(required=True, rule=at_least(1)),
            "keepers": MAP,
            "prefix": STRING,
        },
        outputs=properties("b64Std b64Url dec hex"),
    )

    @override
    def create(self, inputs: dict[str, Any], operation: Operation) -> Made:
        """Draw the identifier."""
        drawn = secrets.token_bytes(inputs["byteLength"])
        prefix = inputs.get("prefix", "")
        url = base64.urlsafe_b64encode(drawn).decode().rstrip("=")
        state = {
            **inputs,
            "b64Std": prefix + base64.b64encode(drawn).decode(),
            "b64Url": prefix + url,
            "dec": prefix + str(int.from_bytes(drawn, "big")),
            "hex": prefix + drawn.hex(),
        }
        return Made(url, state)


def _connect(_config: Mapping[str, Any]) -> Mapping[str, ResourceType]:
    password = Schema(
        "random:index/randomPassword:RandomPassword",
        inputs=_TEXT_INPUTS,
        # bcryptHash stays empty: Python's standard library has no bcrypt, and a diff never asks
        outputs=properties("result"),
        secret_outputs=properties("result"),
    )
    text = Schema(
        "random:index/randomString:RandomString",
        inputs=_TEXT_INPUTS,
        outputs=properties("result"),
    )
    types: list[ResourceType] = [
        RandomText(password, id_is_result=False),
        RandomText(text, id_is_result=True),
        RandomBytes(),
        RandomId(),
    ]
    return {kind.schema.token: kind for kind in types}


PLUGIN: Final = Plugin("random", "4.21.4", Schema("random", inputs={}), _connect)
