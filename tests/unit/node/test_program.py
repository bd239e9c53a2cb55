"""Which program a node starts while its stack goes from one engine to another."""

from pathlib import Path

import pytest

from node.settings import NodeSettings
from redis_ha.connection import Address, Credentials


def settings(engine: str) -> NodeSettings:
    address, here = Address("10.0.0.1", 6379), Path("/")
    return NodeSettings(
        name="redis-1",
        address=address,
        master_name="mymaster",
        initial_master="redis-1",
        data_nodes=(address,),
        sentinels=(),
        credentials=Credentials("node", "secret"),
        ca=here,
        data_dir=here,
        config_dir=here,
        run_dir=here,
        engine=engine,
    )


@pytest.mark.parametrize(
    ("engine", "installed", "started"),
    [
        ("redis-8", ["redis-server"], "redis-server"),
        ("valkey-8", ["redis-server", "valkey-server"], "valkey-server"),
        # An old image with the files of the engine that comes next, and the way back.
        ("valkey-8", ["redis-server"], "redis-server"),
        ("redis-7", ["valkey-server"], "valkey-server"),
        # What is missing is then told by its right name.
        ("valkey-8", [], "valkey-server"),
    ],
)
def test_a_node_starts_the_server_that_its_image_has(
    engine: str,
    installed: list[str],
    started: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in installed:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert settings(engine).server == started
