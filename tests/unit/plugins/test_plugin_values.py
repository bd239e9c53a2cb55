"""Property values survive the wire, and secrets stay secret."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toolchain.plugins.base.values import (
    UNKNOWN,
    Secret,
    decode,
    encode,
    holds_secret,
    holds_unknown,
    reveal,
    seal,
)

_PLAIN = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3)
    ),
    max_leaves=6,
)
_VALUES = st.recursive(
    _PLAIN | st.just(UNKNOWN) | _PLAIN.map(Secret),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text(min_size=1), _VALUES, max_size=3))
def test_values_come_back_from_the_wire_as_they_went(properties: dict[str, object]) -> None:
    assert decode(encode(properties)) == properties


def test_a_property_without_a_value_is_not_sent() -> None:
    assert decode(encode({"a": None, "b": {"c": None}})) == {"b": {}}


def test_secrets_and_unknowns_are_found_at_every_depth() -> None:
    value = {"a": [{"b": Secret([UNKNOWN])}]}
    assert holds_secret(value)
    assert holds_unknown(value)
    assert reveal(value) == {"a": [{"b": [UNKNOWN]}]}


def test_an_output_that_stems_from_a_secret_input_is_secret() -> None:
    inputs = {"uploads": [{"file": "/f", "content": Secret("s")}], "name": "n"}
    state = {"uploads": [{"file": "/f", "content": "s"}], "name": "n"}
    assert seal(state, like=[inputs]) == {"uploads": Secret(state["uploads"]), "name": "n"}


def test_a_secret_is_not_printed() -> None:
    assert "hunter2" not in repr({"a": Secret("hunter2")})
