"""The table of named scenarios: what docs/FAULTS.md lists, and what `make test` plays of it.

Outages as infra.prediction has them for this cluster: a down-after of 5 s, with witnesses.
"""

from infra.prediction import ELECTION, HANG_EXTRA, SWITCHOVER, WITNESS
from tests.faults.fault import Fault
from tests.faults.scenario import Scenario

_DOWN_AFTER = 5.0
_UNSEEN = _DOWN_AFTER + ELECTION + HANG_EXTRA

NAMED = (
    # One fault on the master.
    Scenario("crash", (Fault("crash"),), outage_within=WITNESS, by_witness=True),
    Scenario("reboot at once", (Fault("crash", seconds=0.0),), outage_within=WITNESS),
    Scenario("out of memory", (Fault("oom"),), outage_within=WITNESS, by_witness=True),
    Scenario("hang", (Fault("hang", seconds=9.0),), outage_within=_UNSEEN),
    Scenario("stopped in order", (Fault("stop"),), outage_within=SWITCHOVER),
    Scenario("made a replica by mistake", (Fault("misled", seconds=40.0),)),
    # The network.
    Scenario("cut off", (Fault("isolate", seconds=12.0),), outage_within=_UNSEEN),
    Scenario("deaf", (Fault("deaf", seconds=12.0),), outage_within=_UNSEEN),
    Scenario("dumb", (Fault("dumb", seconds=12.0),), outage_within=_UNSEEN),
    Scenario("lossy network", (Fault("loss", seconds=12.0),), outage_within=_UNSEEN),
    Scenario("slow network", (Fault("slow network", seconds=12.0),)),
    Scenario("a replica is cut off", (Fault("isolate", "replica", seconds=8.0),), outage_within=1),
    Scenario("a sentinel is cut off", (Fault("isolate", "sentinel"),), outage_within=1),
    # Disks.
    Scenario("slow disk", (Fault("slow disk", seconds=10.0),)),
    Scenario("stuck disk", (Fault("stuck disk", seconds=9.0),), outage_within=_UNSEEN),
    Scenario("full disk", (Fault("full disk", seconds=5.0),), outage_within=5),
    Scenario(
        "full disk, then a crash",
        (Fault("full disk", seconds=4.0), Fault("crash", at=8.0, seconds=3.0)),
    ),
    Scenario(
        "whoever is promoted has a full disk",
        (
            Fault("full disk", "replica", seconds=7.0),
            Fault("full disk", "other", seconds=7.0),
            Fault("crash", at=2.0, seconds=8.0),
        ),
    ),
    Scenario("empty disk inside down-after", (Fault("empty", seconds=1.0),)),
    Scenario("empty disk later", (Fault("empty", seconds=8.0),)),
    Scenario("old disk inside down-after", (Fault("stale", seconds=1.0),)),
    Scenario("old disk later", (Fault("stale", seconds=8.0),)),
    # Clocks: an hour ahead or back, and then right again.
    Scenario("the clock of the master jumps ahead", (Fault("clock ahead"),)),
    Scenario("the clock of the master jumps back", (Fault("clock behind"),)),
    Scenario(
        "the clock of a sentinel jumps, and the master crashes",
        (Fault("clock ahead", "sentinel"), Fault("crash", at=1.0)),
    ),
    # The sentinels.
    Scenario("all sentinels are down", (Fault("crash", "all sentinels"),), outage_within=1),
    Scenario(
        "no majority, and the master crashes",
        (Fault("crash", "sentinels", seconds=8.0), Fault("crash", at=0.5, seconds=4.0)),
    ),
    Scenario(
        "a sentinel misses a failover",
        (Fault("crash", "sentinel", seconds=10.0), Fault("crash", at=1.0, seconds=4.0)),
    ),
    # Two at once.
    Scenario(
        "master and a sentinel", (Fault("crash"), Fault("crash", "sentinel")), by_witness=True
    ),
    Scenario(
        "master and its successor",
        (Fault("crash", seconds=12.0), Fault("crash", "promoted", at=2.0, seconds=10.0)),
        by_witness=True,
    ),
    Scenario(
        "cut off, and its successor crashes",
        (Fault("isolate", seconds=16.0), Fault("crash", "promoted", at=9.0, seconds=3.0)),
    ),
    Scenario(
        "a replica misses a failover",
        (Fault("crash", "replica", seconds=10.0), Fault("crash", at=1.0, seconds=4.0)),
    ),
    Scenario("both replicas", (Fault("crash", "replica"), Fault("crash", "other", at=0.5))),
    Scenario(
        "crash during a full sync",
        (Fault("empty", "replica", seconds=1.0), Fault("crash", at=1.5)),
    ),
    Scenario("rolling change", (Fault("rolling", "everything", seconds=40.0),)),
    Scenario(
        "crash during a rolling change",
        (Fault("rolling", "everything", seconds=40.0), Fault("crash", at=2.0, seconds=4.0)),
    ),
    # Zones, and everything.
    Scenario("zone lost", (Fault("crash", "zone"),), outage_within=_UNSEEN, by_witness=True),
    Scenario("zone cut off", (Fault("isolate", "zone", seconds=12.0),), outage_within=_UNSEEN),
    Scenario("everything at once", (Fault("crash", "everything", seconds=2.0),)),
    Scenario("everything stopped in order", (Fault("stop", "everything", seconds=2.0),)),
)
# What `make test` plays: one of each family, in less than five minutes with the random ones.
QUICK = (
    "cut off",
    "deaf",
    "master and its successor",
    "zone lost",
    "everything at once",
    "empty disk inside down-after",
    "full disk, then a crash",
    "the clock of the master jumps ahead",
)
