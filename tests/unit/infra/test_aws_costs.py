"""The cost sheet counts what the graph makes, and the documented one is the computed one."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.config import ClusterConfig
from infra.costs import sheet
from infra.costs.__main__ import main
from infra.costs.sheet import CostSheet, Use, cost_sheet, read_prices, usual_use
from infra.machines import MACHINES
from infra.settings import parse
from tests.unit.infra.aws_stack import fill, prod_settings, record_prod
from tests.unit.infra.recorded_graph import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "COSTS.md"


def computed(use: Use | None = None, **settings: str) -> CostSheet:
    config = parse(ClusterConfig, {**prod_settings(), **settings})
    return cost_sheet(config, read_prices(), use or usual_use(config))


def dollars(sheet_of: CostSheet) -> dict[str, float]:
    return {line.what: line.dollars for line in sheet_of.lines}


def test_what_is_counted_is_what_the_graph_makes(tmp_path: Path) -> None:
    graph = record_prod(fill(tmp_path / "packages"))
    ways = [e.inputs["vpcEndpointType"] for e in graph.of_type("VpcEndpoint").values()]
    assert ways.count("Interface") == sheet.ENDPOINTS
    alarms = graph.of_type("MetricAlarm").values()
    assert len(alarms) == 3 * sheet.ALARMS_PER_MACHINE + sheet.ALARMS_OF_CLUSTER
    own = {json.dumps([a.inputs["metricName"], a.inputs["dimensions"]], sort_keys=True)
           for a in alarms if a.inputs["namespace"] == "RedisHA"}  # fmt: skip
    assert len(own) == 3 * (sheet.METRICS_PER_MACHINE - 7) + sheet.METRICS_OF_CLUSTER
    assert len(graph.of_type("Key")) == sheet.KEYS
    assert len(graph.of_type("Secret")) == 4
    assert len(graph.of_type("Instance")) == len(graph.of_type("Volume")) == 3
    # No line of the sheet speaks of these, so none may be made.
    for kind in ("NatGateway", "Eip", "LoadBalancer"):
        assert not graph.of_type(kind)


def test_a_line_can_be_computed_by_hand() -> None:
    of = dollars(computed())
    assert of["machines"] == pytest.approx(3 * 0.4536 * 730)
    assert of["disks"] == pytest.approx(3 * (516 * 0.08 + 3000 * 0.005 + 375 * 0.04))
    assert of["interface endpoints"] == pytest.approx(15 * 0.01 * 730)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"instanceType": "c7gn.2xlarge"}, "machines"),
        ({"volumeGb": "1000"}, "disks"),
        ({"backupRetentionHours": "336"}, "backups in S3"),
        ({"backupInterval": "600"}, "traffic between zones"),
    ],
)
def test_what_a_setting_drives_changes_its_line(settings: dict[str, str], line: str) -> None:
    before, after = dollars(computed()), dollars(computed(**settings))
    assert after[line] > before[line]


def test_what_is_brought_along_costs_nothing() -> None:
    settings = {"endpoints": "false", "kmsKey": "arn:aws:kms:us-east-1:123456789012:key/k"}
    of = dollars(computed(**settings))
    assert "interface endpoints" not in of
    assert of["keys and secrets"] == pytest.approx(4 * 0.4)


def test_a_vpc_that_is_there_brings_its_own_ways_out() -> None:
    existing = {
        "vpcId": "vpc-0a",
        "subnetIds": '["subnet-0a","subnet-0b","subnet-0c"]',
        "subnetCidrs": '["10.1.1.0/24","10.1.2.0/24","10.1.3.0/24"]',
    }
    assert "interface endpoints" not in dollars(computed(**existing))


def test_every_machine_that_is_allowed_has_a_price() -> None:
    allowed = {machine.name for machine in MACHINES.values() if not machine.below_minimum}
    assert read_prices().machine_hour.keys() == allowed


@pytest.mark.parametrize(
    "words",
    [
        [],
        [
            *("instanceType=c6in.xlarge", "maxmemory=2gb", "nodeMemoryMb=4864"),
            "workerMemoryMb=2432",
        ],
    ],
)
def test_the_documented_sheets_are_the_computed_ones(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.strip() in DOCUMENT.read_text()


def test_refused_settings_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["instanceType=c6in.large"]) == 1
    printed: Any = capsys.readouterr()
    assert printed.out == ""
    assert "instanceType = c6in.large" in printed.err
