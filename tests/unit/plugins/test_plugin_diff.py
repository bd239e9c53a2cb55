"""What a change is, and what replaces."""

from __future__ import annotations

import pytest

from toolchain.plugins.base.checking import DEFAULTS, Failure, complete, failures
from toolchain.plugins.base.diffing import Change, changes, deletes_first
from toolchain.plugins.base.rules import at_least, matching, one_of
from toolchain.plugins.base.schema import (
    BOOLEAN,
    INTEGER,
    MAP,
    STRING,
    STRING_SET,
    STRINGS,
    Schema,
    block,
    blocks,
)
from toolchain.plugins.base.values import UNKNOWN, Secret

SCHEMA = Schema(
    "test:index/thing:Thing",
    inputs={
        "command": STRINGS,
        "count": INTEGER.but(replaces=False, rule=at_least(0)),
        "flag": BOOLEAN.but(default=True),
        "groups": STRING_SET,
        "host": STRING.but(computed=True),
        "labels": MAP,
        "name": STRING,
        "options": block({"mode": STRING.but(default="0s")}),
        "ports": blocks({"inner": INTEGER.but(required=True), "outer": INTEGER.but(computed=True)}),
        "size": STRING.but(required=True, rule=one_of("s", "m")),
    },
    unsupported=frozenset({"gpus"}),
    named=True,
)
BASE = {"size": "s", "flag": True, "name": "n"}


def _changed(old: dict[str, object], new: dict[str, object]) -> dict[str, Change]:
    return changes(SCHEMA, {**BASE, **old}, {**BASE, **new})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param({"count": 0, "command": [], "labels": {}}, {}, id="zero values are absent"),
        pytest.param({"groups": ["a", "b"]}, {"groups": ["b", "a"]}, id="sets have no order"),
        pytest.param({"host": "made-up"}, {}, id="computed and not asked for"),
        pytest.param({"size": "s"}, {"size": Secret("s")}, id="a secret is what it hides"),
        pytest.param({"options": {"mode": "0s"}}, {"options": {}}, id="nested default"),
        pytest.param(
            {"ports": [{"inner": 2, "outer": 9}, {"inner": 1, "outer": 8}]},
            {"ports": [{"inner": 1}, {"inner": 2}]},
            id="nested computed in a set",
        ),
    ],
)
def test_no_change(old: dict[str, object], new: dict[str, object]) -> None:
    assert _changed(old, new) == {}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"count": 1}, {"count": 2}, {"count": Change("update", replaces=False)}),
        ({"count": 1}, {}, {"count": Change("delete", replaces=False)}),
        ({}, {"labels": {"a": "b"}}, {"labels": Change("add", replaces=True)}),
        ({"command": ["a", "b"]}, {"command": ["b", "a"]}, {"command": Change("update", True)}),
        ({"host": "a"}, {"host": "b"}, {"host": Change("update", replaces=True)}),
        ({"size": "s"}, {"size": UNKNOWN}, {"size": Change("update", replaces=True)}),
        ({"groups": ["a"]}, {"groups": ["a", "a"]}, {"groups": Change("update", True)}),
        ({}, {"flag": False}, {"flag": Change("delete", replaces=True)}),
    ],
)
def test_change(
    old: dict[str, object], new: dict[str, object], expected: dict[str, Change]
) -> None:
    assert _changed(old, new) == expected


def test_a_fixed_name_cannot_be_held_twice() -> None:
    replaced = {"size": Change("update", replaces=True)}
    assert deletes_first(SCHEMA, BASE, BASE, replaced)
    assert not deletes_first(SCHEMA, BASE, {**BASE, "name": "other"}, replaced)
    assert not deletes_first(SCHEMA, BASE, {**BASE, DEFAULTS: ["name"]}, replaced)
    assert not deletes_first(SCHEMA, BASE, BASE, {"count": Change("update", replaces=False)})


def _complete(
    inputs: dict[str, object], olds: dict[str, object] | None = None
) -> dict[str, object]:
    return complete(SCHEMA, inputs, olds=olds or {}, name="web", seed=b"seed")


def test_defaults_are_filled_in_and_marked() -> None:
    assert _complete({"size": "s", "name": "n"}) == {**BASE, DEFAULTS: ["flag"]}


def test_a_made_up_name_is_kept_and_a_given_one_is_not_taken_for_one() -> None:
    first = _complete({"size": "s"})
    assert str(first["name"]).startswith("web-")
    kept = complete(SCHEMA, {"size": "m"}, olds=first, name="web", seed=b"another")
    assert kept["name"] == first["name"]
    assert _complete({"size": "s"}, olds={"name": "given", DEFAULTS: ["flag"]})["name"] != "given"


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"size": "s", "colour": "red"}, Failure("colour", "unknown property")),
        ({}, Failure("size", "missing required property")),
        ({"size": "xl"}, Failure("size", "'xl' is none of 's', 'm'")),
        ({"size": "s", "count": "1"}, Failure("count", "expected a whole number, got str")),
        ({"size": "s", "count": True}, Failure("count", "expected a whole number, got bool")),
        ({"size": "s", "count": -1}, Failure("count", "-1 is below 0")),
        ({"size": "s", "labels": {"a": 1}}, Failure("labels.a", "expected a string, got int")),
        ({"size": "s", "ports": [{}]}, Failure("ports[0].inner", "missing required property")),
        ({"size": "s", "command": [1]}, Failure("command[0]", "expected a string, got int")),
        (
            {"size": "s", "gpus": "all"},
            Failure("gpus", "this stand-in plugin does not support it; leave it out"),
        ),
    ],
)
def test_what_is_refused(inputs: dict[str, object], expected: Failure) -> None:
    assert failures(SCHEMA, inputs) == [expected]


def test_unknown_and_secret_values_are_let_through_where_they_fit() -> None:
    assert failures(SCHEMA, {"size": UNKNOWN, "ports": UNKNOWN, "command": [UNKNOWN]}) == []
    assert failures(SCHEMA, {"size": Secret("xl")}) != []


def test_a_pattern_covers_the_whole_value() -> None:
    rule = matching("0[0-7]{3}", say="a mode")
    assert rule("0440") is None
    assert rule("0440\n") == "'0440\\n' is not a mode"
