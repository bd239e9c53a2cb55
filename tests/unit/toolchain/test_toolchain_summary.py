"""What `make up` says at its end."""

import re

from toolchain.first_snapshot import pick
from toolchain.summary import render, rows

NODES = rows(
    [
        {
            "name": "redis-1",
            "role": "data",
            "address": "172.29.0.11",
            "port": 6479,
            "hostPort": 6479,
            "container": "two-redis-1",
        },
        {
            "name": "sentinel-1",
            "role": "sentinel",
            "address": "172.29.0.21",
            "port": 26479,
            "hostPort": 26479,
            "container": "two-sentinel-1",
        },
    ]
)


def test_every_node_has_a_line_with_name_role_address_and_port() -> None:
    text = render(NODES, snapshot="20260101T000000Z-00")
    assert re.search(r"^  two-redis-1 +data +172\.29\.0\.11 +6479$", text, re.MULTILINE)
    assert re.search(r"^  two-sentinel-1 +sentinel +172\.29\.0\.21 +26479$", text, re.MULTILINE)


def test_the_line_to_connect_names_this_stack_s_container_and_no_password() -> None:
    line = (
        "docker exec -it -e REDISCLI_AUTH two-redis-1 redis-cli --tls "
        "--cacert /etc/redis-ha/tls/ca.crt -p 6479 --user app"
    )
    assert line in render(NODES, snapshot=None)


def test_a_missing_first_snapshot_is_not_passed_over() -> None:
    assert "no good snapshot yet" in render(NODES, snapshot=None)
    assert "snapshot S is proven" in render(NODES, snapshot="S is proven")


def test_the_newest_good_snapshot_is_picked() -> None:
    snapshots = [
        {"id": "20260101", "state": "proven"},
        {"id": "20260102", "state": "proven"},
        {"id": "20260103", "state": "not proven"},
        {"id": "20260104", "state": "failed"},
    ]
    assert pick(snapshots, proving=True) == "20260102 is proven"
    assert pick(snapshots, proving=False) == "20260103 is not proven"
    assert pick([], proving=True) is None


def test_the_monitors_pages_are_named_and_only_where_there_are_monitors() -> None:
    monitors = [
        {
            "name": name,
            "role": "monitoring",
            "address": "172.29.0.9",
            "port": port,
            "container": "x",
        }
        for name, port in (("ha-exporter", 9222), ("prometheus", 9190), ("alertmanager", 9193))
    ]
    text = render(NODES, monitors=rows(monitors), snapshot=None)
    assert re.search(r"^  Prometheus +http://127\.0\.0\.1:9190/$", text, re.MULTILINE)
    assert re.search(r"^  Alertmanager +http://127\.0\.0\.1:9193/$", text, re.MULTILINE)
    assert "9222" not in text
    assert "Monitoring" not in render(NODES, snapshot=None)
