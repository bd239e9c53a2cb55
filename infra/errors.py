"""Everything that infra raises on purpose; Pulumi shows the message alone, without a traceback.

InfraError (a pulumi.RunError)
├── ConfigRefused       the stack's configuration cannot be read
├── PlanRefused         it can be read, but would make an unsafe cluster
├── ChangeRefused       the stack that is there would not survive the change
├── CredentialsMissing  nothing that AWS would accept was found
├── GuardrailBroken     a resource would be open, unencrypted or too mighty
├── PackagesMissing     what the nodes are installed from is not there
└── FolderUnusable      a folder of `redis-ha compose` can't be read or written
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True)
class Problem:
    """One setting that cannot be used as it is, with the reason and the way out."""

    setting: str
    value: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.setting} = {self.value}: {self.reason}; {self.remedy}"


class InfraError(pulumi.RunError):
    """The program stops before it has touched a resource."""


class Refused(InfraError):
    """Some settings cannot be used; all of them are told at once."""

    headline = "the settings are refused"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{self.headline}:", *(f"  - {p}" for p in self.problems)]))


class ConfigRefused(Refused):
    """The stack's configuration holds unknown settings or values that cannot be read."""

    headline = "the stack's configuration cannot be used"


class PlanRefused(Refused):
    """The settings are well formed, but together they would make an unsafe cluster."""

    headline = "the planner refuses these settings as unsafe"


class ChangeRefused(Refused):
    """The settings are fine for a new stack, but this one holds what they would destroy."""

    headline = "this stack may not be changed so"


class CredentialsMissing(InfraError):
    """No AWS credentials are in the environment, the shared files or the machine's role."""


class GuardrailBroken(InfraError):
    """A resource breaks a rule that no setting may break; the preview fails."""


class PackagesMissing(InfraError):
    """The folder that a node's packages are uploaded from is empty or not there."""


class FolderUnusable(InfraError):
    """A folder that `redis-ha compose` was to write cannot be read or written."""
