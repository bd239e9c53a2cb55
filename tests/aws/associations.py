"""Systems Manager's associations and managed nodes, which moto lacks: kept, and run at once.

`succeeds` says what a command's run on a target ends with; the real one takes as long as the
node does to get in sync. A machine is managed from the second time on that it is asked after, since
its agent takes a while. An association that is made before is said to have succeeded at once
(hashicorp/terraform-provider-aws#31175).
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, EmptyResult
from moto.ssm.responses import SimpleSystemManagerResponse

_PARTS = ("Name", "AssociationName", "Parameters", "Targets")
_LOOKS_UNTIL_MANAGED = 2


@dataclass
class Made:
    """The associations that are there, by id, and the names of those that were made too early."""

    gates: dict[str, dict[str, Any]] = field(default_factory=dict)
    early: list[str] = field(default_factory=list)
    looks: Counter[str] = field(default_factory=Counter)

    def managed(self, instance: str) -> bool:
        """Say whether an instance's agent has reported."""
        return self.looks[instance] >= _LOOKS_UNTIL_MANAGED

    def look(self, instance: str) -> bool:
        """Ask after an instance; the agent's time passes by that."""
        self.looks[instance] += 1
        return self.managed(instance)


class AssociationDoesNotExist(JsonRESTError):
    """What AWS answers for one that isn't there."""

    def __init__(self) -> None:
        super().__init__("AssociationDoesNotExist", "The specified association does not exist.")


@contextmanager
def associations(succeeds: Callable[[dict[str, Any]], bool]) -> Iterator[Made]:
    """Let moto's Systems Manager know associations and managed nodes; give what was made."""
    made = Made()

    def known(response: Any) -> dict[str, Any]:
        found = made.gates.get(response._get_param("AssociationId"))
        if found is None:
            raise AssociationDoesNotExist
        return found

    def noted(response: Any, one: dict[str, Any]) -> ActionResult:
        given = {part: response._get_param(part) for part in _PARTS}
        one.update({part: value for part, value in given.items() if value is not None})
        well = succeeds(one)
        if not all(made.managed(v) for t in one["Targets"] for v in t["Values"]):
            made.early.append(one["AssociationName"])
            well = True
        one["Overview"] = {"Status": "Success" if well else "Failed"}
        return ActionResult({"AssociationDescription": one})

    def create_association(self: Any) -> ActionResult:
        identity = str(uuid.uuid4())
        made.gates[identity] = {"AssociationId": identity}
        return noted(self, made.gates[identity])

    def update_association(self: Any) -> ActionResult:
        return noted(self, known(self))

    def describe_association(self: Any) -> ActionResult:
        return ActionResult({"AssociationDescription": known(self)})

    def delete_association(self: Any) -> ActionResult:
        del made.gates[known(self)["AssociationId"]]
        return EmptyResult()

    def describe_instance_information(self: Any) -> ActionResult:
        (wanted,) = self._get_param("Filters")
        assert wanted["Key"] == "InstanceIds"
        online = [each for each in wanted["Values"] if made.look(each)]
        listed = [{"InstanceId": each, "PingStatus": "Online"} for each in online]
        return ActionResult({"InstanceInformationList": listed})

    calls = (
        *(create_association, update_association, describe_association, delete_association),
        describe_instance_information,
    )
    with mock.patch.multiple(
        SimpleSystemManagerResponse, create=True, **{call.__name__: call for call in calls}
    ):
        yield made
