"""How a Docker engine is found: use, start, install, or say why not."""

import pytest

from toolchain.docker_engine import Action, Found, decide
from toolchain.errors import Refused
from toolchain.host import Host

DEBIAN = Host(system="Linux", machine="x86_64", root=True, sudo=False, apt=True, systemd=False)
WITH_SYSTEMD = Host(system="Linux", machine="x86_64", root=True, sudo=False, apt=True, systemd=True)
MAC = Host(system="Darwin", machine="arm64", root=False, sudo=True, apt=False, systemd=False)

AWAY = Found(answer=None, problem="Cannot connect", cli=True, daemon=True, endpoint="")
NOTHING = Found(answer=None, problem="", cli=False, daemon=False, endpoint="")


def found(base: Found, **changes: object) -> Found:
    return Found(**{**base.__dict__, **changes})


def test_an_engine_that_answers_is_used_whatever_else_is_there() -> None:
    engine = found(AWAY, answer="27.5.1", endpoint="tcp://elsewhere:2376")
    assert decide(engine, MAC) is Action.USE


def test_an_installed_engine_is_started_the_way_the_machine_starts_services() -> None:
    assert decide(AWAY, WITH_SYSTEMD) is Action.START_UNIT
    assert decide(AWAY, DEBIAN) is Action.START_DAEMON


def test_without_an_engine_debian_s_own_is_installed() -> None:
    assert decide(NOTHING, DEBIAN) is Action.INSTALL
    assert decide(found(NOTHING, cli=True), DEBIAN) is Action.INSTALL


@pytest.mark.parametrize(
    ("engine", "host", "cause", "way_out"),
    [
        (found(AWAY, endpoint="tcp://10.0.0.5:2376"), DEBIAN, "tcp://10.0.0.5:2376", "DOCKER_HOST"),
        (found(AWAY, problem="dial: permission denied"), DEBIAN, "closed to this user", "usermod"),
        (NOTHING, MAC, "Darwin", "Docker Desktop"),
    ],
)
def test_what_only_the_owner_can_mend_is_refused_with_the_way_out(
    engine: Found, host: Host, cause: str, way_out: str
) -> None:
    with pytest.raises(Refused) as refusal:
        decide(engine, host)
    assert cause in refusal.value.cause
    assert way_out in refusal.value.hint
