"""Containers under the real engine: what changes, what comes back, what stays secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_docker
import pytest
from pulumi import automation

from tests.processes.plugins.engine import Project, configured_secret, secret_config

if TYPE_CHECKING:
    from tests.processes.plugins.conftest import Docker

pytestmark = pytest.mark.filterwarnings(
    # Pulumi's automation API leaves its event loops open.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
Maker = Callable[[Callable[[], None]], Project]


def containers(image: str, **special: dict[str, Any]) -> Callable[[], None]:
    """A program with one container for each keyword, with the given settings."""

    def program() -> None:
        for name, settings in special.items():
            given = {"command": ["sleep", "600"], "image": image, **settings}
            pulumi_docker.Container(name, name=f"plug-{name}", **given)

    return program


def test_a_second_up_changes_nothing_and_one_setting_touches_one_container(
    project: Maker, docker: Docker, image: str
) -> None:
    one = project(containers(image, a={}, b={"envs": ["A=1"]}))
    assert one.up() == {"create": 2}
    untouched = docker.inspect("plug-a")["Id"]
    assert one.up() == {"same": 2}
    one.run(containers(image, a={}, b={"envs": ["A=2"]}))
    assert one.up() == {"same": 1, "replace": 1}
    assert docker.inspect("plug-a")["Id"] == untouched
    assert "A=2" in docker.inspect("plug-b")["Config"]["Env"]
    assert one.refresh() == {"same": 3}


def test_every_property_of_a_hardened_node_is_stable(
    project: Maker, docker: Docker, image: str
) -> None:
    def program() -> None:
        network = pulumi_docker.Network(
            "net",
            name="plug-net",
            ipam_configs=[{"subnet": "172.28.90.0/24", "gateway": "172.28.90.1"}],
        )
        volume = pulumi_docker.Volume("data", name="plug-data")
        pulumi_docker.Container(
            "node",
            name="plug-node",
            hostname="node",
            image=image,
            entrypoints=["/bin/sh", "-c"],
            command=["sleep 600"],
            user="10001:10001",
            group_adds=["0"],
            envs=["B=2", "A=1"],
            capabilities={"adds": ["CAP_NET_BIND_SERVICE"], "drops": ["ALL"]},
            security_opts=["no-new-privileges:true"],
            memory=64,
            memory_swap=128,
            cpus="0.5",
            cpu_shares=512,
            init=True,
            restart="unless-stopped",
            sysctls={"net.core.somaxconn": "512"},
            ulimits=[{"name": "nofile", "soft": 1024, "hard": 1024}],
            tmpfs={"/run/node": "uid=10001,mode=0700"},
            volumes=[{"volume_name": volume.name, "container_path": "/data"}],
            mounts=[{"type": "tmpfs", "target": "/scratch", "tmpfs_options": {"size_bytes": 4096}}],
            networks_advanced=[
                {"name": network.name, "ipv4_address": "172.28.90.11", "aliases": ["n"]}
            ],
            ports=[
                {"internal": 7000, "external": 18100, "ip": "127.0.0.1"},
                {"internal": 6000, "external": 18101, "ip": "127.0.0.1"},
            ],
            labels=[{"label": "b", "value": "2"}, {"label": "a", "value": "1"}],
            log_driver="json-file",
            log_opts={"max-size": "1m"},
            stop_signal="SIGTERM",
            stop_timeout=15,
            destroy_grace_seconds=1,
            uploads=[
                {"file": "/etc/node/b", "content": "b", "permissions": "0440"},
                {"file": "/etc/node/a", "content_base64": "YQ==", "executable": True},
            ],
            healthcheck={
                "tests": ["CMD", "test", "-r", "/etc/node/b"],
                "interval": "500ms",
                "timeout": "2s",
                "start_period": "1m30s",
                "retries": 3,
            },
            wait=True,
            wait_timeout=30,
        )

    one = project(program)
    assert one.up() == {"create": 3}
    assert one.up() == {"same": 3}
    assert one.refresh() == {"same": 4}
    assert one.up() == {"same": 3}
    listed = docker("exec", "plug-node", "stat", "-c", "%a %u %n", "/etc/node/a", "/etc/node/b")
    assert listed.splitlines() == ["744 0 /etc/node/a", "440 0 /etc/node/b"]
    seen = docker.inspect("plug-node")
    assert list(seen["NetworkSettings"]["Networks"]) == ["plug-net"]


def test_limits_and_restart_policy_change_in_place(
    project: Maker, docker: Docker, image: str
) -> None:
    one = project(containers(image, a={"memory": 64, "memory_swap": 128}))
    one.up()
    identity = docker.inspect("plug-a")["Id"]
    one.run(containers(image, a={"memory": 96, "memory_swap": 192, "restart": "always"}))
    assert one.up() == {"update": 1}
    assert docker.inspect("plug-a")["Id"] == identity
    host = docker.inspect("plug-a")["HostConfig"]
    assert host["Memory"] == 96 * 1024 * 1024
    assert host["RestartPolicy"]["Name"] == "always"
    assert one.up() == {"same": 1}


def test_memory_without_swap_is_a_change_on_every_up(
    project: Maker, docker: Docker, image: str
) -> None:
    one = project(containers(image, a={"memory": 64}))
    one.up()
    assert one.up() == {"update": 1}
    assert one.up() == {"update": 1}


def test_a_changed_health_check_is_noted_only_and_said_so(
    project: Maker, docker: Docker, image: str
) -> None:
    check = {"tests": ["CMD", "true"], "interval": "5s"}
    one = project(containers(image, a={"healthcheck": check}))
    one.up()
    one.run(containers(image, a={"healthcheck": {**check, "interval": "7s"}}))
    result = one.stack.up(suppress_progress=True)
    assert "healthcheck is noted, but the running container keeps the old value" in result.stdout
    assert docker.inspect("plug-a")["Config"]["Healthcheck"]["Interval"] == 5_000_000_000
    assert one.up() == {"same": 1}


def test_a_container_removed_by_hand_comes_back(project: Maker, docker: Docker, image: str) -> None:
    one = project(containers(image, a={}, b={}))
    one.up()
    docker("rm", "--force", "plug-a")
    assert one.refresh() == {"delete": 1, "same": 2}
    assert one.up() == {"create": 1, "same": 1}
    assert docker.inspect("plug-a")["State"]["Running"]


def test_a_container_that_must_run_and_stopped_is_removed_at_refresh(
    project: Maker, docker: Docker, image: str
) -> None:
    one = project(containers(image, a={}, b={"must_run": False}))
    one.up()
    docker("stop", "--time", "0", "plug-a", "plug-b")
    assert one.refresh()["delete"] == 1
    assert docker.names() == {"plug-b"}


def test_drift_is_seen_after_a_refresh_and_mended(
    project: Maker, docker: Docker, image: str
) -> None:
    one = project(containers(image, a={"memory": 64, "memory_swap": 128}))
    one.up()
    docker("update", "--memory", "32m", "plug-a")
    assert one.refresh()["update"] == 1
    assert one.up() == {"update": 1}
    assert docker.inspect("plug-a")["HostConfig"]["Memory"] == 64 * 1024 * 1024


def test_secrets_are_secret_in_state_and_in_what_is_shown(
    project: Maker, docker: Docker, image: str
) -> None:
    def program(mark: str = "") -> None:
        password = configured_secret("password")
        pulumi_docker.Container(
            "a",
            name="plug-a",
            image=image,
            command=["sleep", "600"],
            envs=[pulumi.Output.concat("PASSWORD=", password)],
            uploads=[{"file": "/password", "content": password}, {"file": "/m", "content": mark}]
            if mark
            else [{"file": "/password", "content": password}],
        )

    one = project(program)
    secret_config(one, "password", "hunter-two-hunter")
    shown = one.stack.preview(diff=True).stdout
    shown += one.stack.up(diff=True).stdout
    assert docker("exec", "plug-a", "cat", "/password") == "hunter-two-hunter"
    one.run(lambda: program("changed"))
    shown += one.stack.preview(diff=True).stdout
    shown += one.stack.up(diff=True).stdout
    assert one.up() == {"same": 1}
    docker("rm", "--force", "plug-a")
    shown += one.stack.refresh().stdout
    assert "hunter" not in shown
    stored = "".join(
        file.read_text() for file in (one.folder / "state").rglob("*.json*") if file.is_file()
    )
    assert "plug-a" in stored
    assert "hunter" not in stored


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"gpus": "all", "memory": -1}, "does not support it"),
        ({"image": "no-such-image"}, "No such image"),
        ({"command": ["/no/such/file"]}, "no such file"),
        ({"command": ["sh", "-c", "echo out of milk; exit 3"]}, "out of milk"),
        ({"networks_advanced": [{"name": "plug-nowhere"}]}, "network plug-nowhere not found"),
        ({"uploads": [{"file": "/f", "source": "/no/such/source"}]}, "/no/such/source"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason_and_leaves_nothing(
    project: Maker, docker: Docker, image: str, settings: dict[str, Any], said: str
) -> None:
    one = project(containers(image, a=settings))
    with pytest.raises(automation.CommandError) as failure:
        one.up()
    assert said in str(failure.value)
    assert docker.names() == set()
    assert one.resources("Container") == {}


def test_names_are_made_up_kept_and_not_in_the_way_of_a_replacement(
    project: Maker, docker: Docker
) -> None:
    def program(label: str = "1") -> None:
        labels = [{"label": "l", "value": label}]
        pulumi.export("network", pulumi_docker.Network("plug-auto", labels=labels).name)

    one = project(program)
    first = one.stack.up().outputs["network"].value
    assert one.up() == {"same": 1}
    one.run(lambda: program("2"))
    second = one.stack.up().outputs["network"].value
    assert first != second
    assert first.startswith("plug-auto-")
    listed = docker("network", "ls", "--filter", "name=plug-auto", "--format", "{{.Name}}")
    assert listed.split() == [second]


def test_a_daemon_that_does_not_answer_is_named(project: Maker, image: str) -> None:
    def program(host: str) -> None:
        provider = pulumi_docker.Provider("elsewhere", host=host)
        pulumi_docker.Volume("v", opts=pulumi.ResourceOptions(provider=provider))

    one = project(lambda: program("tcp://127.0.0.1:18198"))
    with pytest.raises(automation.CommandError) as failure:
        one.up()
    assert "cannot reach the Docker daemon at tcp://127.0.0.1:18198" in str(failure.value)
    one.run(lambda: program("ssh://somewhere"))
    with pytest.raises(automation.CommandError, match="is not unix:///path or tcp://host:port"):
        one.up()
    one.run(lambda: program("unix:///var/run/docker.sock"))
    assert one.up()["create"] == 1


def test_a_chain_is_replaced_one_by_one_each_healthy_before_the_next_goes(
    project: Maker, docker: Docker, image: str
) -> None:
    def program(mark: str) -> None:
        before: list[pulumi.Resource] = []
        for name in ("a", "b", "c"):
            made = pulumi_docker.Container(
                name,
                name=f"plug-{name}",
                image=image,
                command=["sleep", "600"],
                envs=[f"MARK={mark}"],
                healthcheck={"tests": ["CMD", "sleep", "0.3"], "interval": "300ms"},
                wait=True,
                opts=pulumi.ResourceOptions(depends_on=before),
            )
            before = [made]

    one = project(lambda: program("1"))
    one.up()
    one.run(lambda: program("2"))
    with docker.events("plug-a", "plug-b", "plug-c") as events:
        assert one.up() == {"replace": 3}
    assert [e for e in events if e.endswith((" destroy", ": healthy"))] == [
        f"plug-{name} {event}"
        for name in ("a", "b", "c")
        for event in ("destroy", "health_status: healthy")
    ]
