"""What the witnesses did in a run, from what they said before and after it."""

from dataclasses import replace

from redis_ha.failover_test.deeds import Deed, Deeds, deeds_between, sentence
from redis_ha.witness.hearing import Hearing
from redis_ha.witness.report import Report
from redis_ha.witness.status import LastDeath, Status

BEFORE = Status(verdicts=4, asked=1, master="10.0.0.1:1", state="watching")
ASKED = replace(
    BEFORE, verdicts=5, asked=2, last=LastDeath("10.0.0.1:1", 1e9, "10.0.1.3:3", asked_after=0.06)
)
SAW = replace(BEFORE, verdicts=5, fenced=1, last=LastDeath("10.0.0.1:1", 1e9))


def told(before: Status, *after: Status) -> Deeds:
    def hearing(statuses: tuple[Status, ...]) -> Hearing:
        reports = tuple(Report(n, status) for n, status in enumerate(statuses, start=1))
        return Hearing(len(statuses), reports)

    return deeds_between(hearing((before,) * len(after)), hearing(after), name=lambda a: f"<{a}>")


def test_only_what_came_since_counts() -> None:
    found = told(BEFORE, ASKED, SAW, BEFORE)
    assert found.each == (
        Deed("witness-1", 1, 1, asked_after=0.06, asked_of="<10.0.1.3:3>"),
        Deed("witness-2", 1, fenced=1),
        Deed("witness-3"),
    )
    assert sentence(found, promoted_after=0.2) == (
        "2 of 3 witnesses saw the master die; witness-1 asked <10.0.1.3:3> 0.06 s after the EOF; "
        "witness-2 fenced the old master; promoted 0.20 s after the fault"
    )


def test_one_that_was_started_anew_counts_from_zero() -> None:
    (deed,) = told(BEFORE, Status(verdicts=1, withdrawn=1)).each
    assert (deed.verdicts, deed.asked, deed.withdrawn) == (1, 0, 1)


def test_nobody_asking_is_said() -> None:
    assert sentence(told(BEFORE, SAW), promoted_after=None) == (
        "1 of 1 witnesses saw the master die; none asked for a failover; "
        "witness-1 fenced the old master"
    )
    assert "Sentinel decided alone" in sentence(Deeds(0), promoted_after=6.0)
    unheard = deeds_between(Hearing(problem="no right"), Hearing(), name=str)
    assert sentence(unheard, promoted_after=6.0).endswith("could not be asked: no right")
