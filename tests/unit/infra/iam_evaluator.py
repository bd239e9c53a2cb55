"""IAM's decision for one request, as its policy evaluation logic describes it, on our documents.

Covers what they use: Allow and Deny, lists, wildcards in resources and actions, and the operators
of their conditions. An operator that it doesn't know is an error, not a match.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Context = Mapping[str, str]


def allowed(
    documents: Sequence[str], action: str, resource: str, context: Context | None = None
) -> bool:
    """Say whether the documents together allow the request; a deny wins, and no word is a no."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in json.loads(document)["Statement"]
        if _applies(statement, action, resource, context or {})
    }
    return effects == {"Allow"}


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    return (
        any(fnmatchcase(action.lower(), a.lower()) for a in _listed(statement["Action"]))
        and any(fnmatchcase(resource, r) for r in _listed(statement["Resource"]))
        and all(
            _holds(operator, context.get(key), _listed(values))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _holds(operator: str, value: str | None, wanted: Sequence[str]) -> bool:
    base = operator.removesuffix("IfExists")
    compare: dict[str, Callable[[str, str], bool]] = {
        "StringEquals": str.__eq__,
        "ArnEquals": fnmatchcase,
        "StringLike": fnmatchcase,
        "Bool": lambda one, other: one.lower() == other.lower(),
    }
    if value is None:
        return operator != base
    return any(compare[base](value, each) for each in wanted)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
