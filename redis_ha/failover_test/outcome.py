"""What a campaign has come to: kept as it goes on, since what it finds may end it early."""

from dataclasses import dataclass, field

from redis_ha.failover_test.records import Fault
from redis_ha.failover_test.summary import Judged, all_passed


@dataclass
class Outcome:
    """The runs that were judged; `stopped` says what ended the campaign early, "" when nothing did.

    `broken` is the fault that was under way then: it had begun, and no verdict came of it.
    """

    runs: list[Judged] = field(default_factory=list)
    stopped: str = ""
    broken: Fault | None = None

    @property
    def passed(self) -> bool:
        return all_passed(self.runs, self.stopped)
