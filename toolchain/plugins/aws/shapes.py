"""Between Pulumi's property names and AWS's parameters, tags and policy documents; pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from toolchain.plugins.base.schema import MAP, STRING, Field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TAGS: Final[Field] = MAP.but(replaces=False)
NAME: Final[Field] = STRING.but(computed=True)
FLEXIBLE: Final[Field] = STRING.but(replaces=False)

# Words that AWS writes otherwise than with a capital first letter.
_AWS_WORDS: Final = {
    "id": "ID",
    "sseAlgorithm": "SSEAlgorithm",
    "kmsMasterKeyId": "KMSMasterKeyID",
}
_OUR_WORDS: Final = {aws: ours for ours, aws in _AWS_WORDS.items()}


def names(text: str, **special: str) -> dict[str, str]:
    """Map property names, written one after the other, to AWS's; `special` ones differ more."""
    return {**{name: name[0].upper() + name[1:] for name in text.split()}, **special}


def to_aws(properties: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    """Give AWS's parameters for the properties that are set."""
    return {
        aws: properties[ours] for ours, aws in table.items() if properties.get(ours) is not None
    }


def from_aws(seen: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    """Give the properties that AWS tells of."""
    return {ours: seen[aws] for ours, aws in table.items() if seen.get(aws) is not None}


def pascal(value: Any) -> Any:
    """Rename the keys of nested objects to AWS's."""
    if isinstance(value, dict):
        return {_AWS_WORDS.get(k, k[0].upper() + k[1:]): pascal(v) for k, v in value.items()}
    return [pascal(item) for item in value] if isinstance(value, list) else value


def camel(value: Any) -> Any:
    """Rename the keys of nested objects to Pulumi's."""
    if isinstance(value, dict):
        return {_OUR_WORDS.get(k, k[0].lower() + k[1:]): camel(v) for k, v in value.items()}
    return [camel(item) for item in value] if isinstance(value, list) else value


def tag_list(tags: Mapping[str, str] | None, *, key: str = "Key") -> list[dict[str, str]]:
    """Give tags as most services take them; KMS calls the members TagKey and TagValue."""
    return [{key: k, key.replace("Key", "Value"): v} for k, v in sorted((tags or {}).items())]


def tag_state(seen: Sequence[Mapping[str, str]] | None, *, key: str = "Key") -> dict[str, Any]:
    """Give the tag properties; those that AWS itself sets are not shown."""
    value = key.replace("Key", "Value")
    tags = {t[key]: t[value] for t in seen or () if not t[key].startswith("aws:")}
    return {"tags": tags, "tagsAll": tags}


def retag(
    old: Mapping[str, str] | None,
    new: Mapping[str, str] | None,
    *,
    untag: Callable[[list[str]], object],
    tag: Callable[[dict[str, str]], object],
) -> None:
    """Call what takes tags away by key and what sets them, each only for those that differ."""
    before, after = old or {}, new or {}
    if away := sorted(before.keys() - after.keys()):
        untag(away)
    if wanted := {k: v for k, v in after.items() if before.get(k) != v}:
        tag(wanted)


def meaning(document: Any) -> Any:
    """Give what a policy says: its order and spaces, and a list of one, mean nothing."""
    try:
        return _without_order(json.loads(document))
    except (TypeError, ValueError):
        return document


def _without_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_order(item) for key, item in value.items()}
    if isinstance(value, list):
        parts = sorted((_without_order(item) for item in value), key=json.dumps)
        return parts[0] if len(parts) == 1 else parts
    return value


DOCUMENT: Final[Field] = STRING.but(replaces=False, meaning=meaning)
