"""Systems Manager's associations, which moto lacks: kept, and run at once.

`succeeds` says what a command's run on a target ends with; the real one takes as long as the
node does to get in sync.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, EmptyResult
from moto.ssm.responses import SimpleSystemManagerResponse

Made = dict[str, dict[str, Any]]
_PARTS = ("Name", "AssociationName", "Parameters", "Targets")


class AssociationDoesNotExist(JsonRESTError):
    """What AWS answers for one that isn't there."""

    def __init__(self) -> None:
        super().__init__("AssociationDoesNotExist", "The specified association does not exist.")


@contextmanager
def associations(succeeds: Callable[[dict[str, Any]], bool]) -> Iterator[Made]:
    """Let moto's Systems Manager know associations; give those that are there, by id."""
    made: Made = {}

    def known(response: Any) -> dict[str, Any]:
        found = made.get(response._get_param("AssociationId"))
        if found is None:
            raise AssociationDoesNotExist
        return found

    def noted(response: Any, one: dict[str, Any]) -> ActionResult:
        given = {part: response._get_param(part) for part in _PARTS}
        one.update({part: value for part, value in given.items() if value is not None})
        one["Overview"] = {"Status": "Success" if succeeds(one) else "Failed"}
        return ActionResult({"AssociationDescription": one})

    def create_association(self: Any) -> ActionResult:
        identity = str(uuid.uuid4())
        made[identity] = {"AssociationId": identity}
        return noted(self, made[identity])

    def update_association(self: Any) -> ActionResult:
        return noted(self, known(self))

    def describe_association(self: Any) -> ActionResult:
        return ActionResult({"AssociationDescription": known(self)})

    def delete_association(self: Any) -> ActionResult:
        del made[known(self)["AssociationId"]]
        return EmptyResult()

    calls = (create_association, update_association, describe_association, delete_association)
    with mock.patch.multiple(
        SimpleSystemManagerResponse, create=True, **{call.__name__: call for call in calls}
    ):
        yield made
