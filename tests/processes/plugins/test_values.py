"""Random values and certificates under the real engine."""

from __future__ import annotations

from collections.abc import Callable

import pulumi
import pulumi_random
import pulumi_tls
import pytest
from pulumi import automation

from tests.processes.plugins.engine import Project, void

pytestmark = pytest.mark.filterwarnings(
    # Pulumi's automation API leaves its event loops open.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
Maker = Callable[[Callable[[], None]], Project]


def _values(early: int, length: int = 24) -> Callable[[], None]:
    def program() -> None:
        password = pulumi_random.RandomPassword("password", length=length, special=False)
        drawn = pulumi_random.RandomBytes("bytes", length=32)
        key = pulumi_tls.PrivateKey("key", algorithm="ED25519")
        authority = pulumi_tls.SelfSignedCert(
            "ca",
            private_key_pem=key.private_key_pem,
            subject={"common_name": "ca"},
            is_ca_certificate=True,
            allowed_uses=["cert_signing"],
            validity_period_hours=100,
        )
        request = pulumi_tls.CertRequest(
            "request", private_key_pem=key.private_key_pem, ip_addresses=["127.0.0.1"]
        )
        leaf = pulumi_tls.LocallySignedCert(
            "leaf",
            ca_cert_pem=authority.cert_pem,
            ca_private_key_pem=key.private_key_pem,
            cert_request_pem=request.cert_request_pem,
            allowed_uses=["server_auth"],
            validity_period_hours=10,
            early_renewal_hours=early,
        )
        pulumi.export("password", password.result)
        pulumi.export("bytes", drawn.base64)
        pulumi.export("leaf", leaf.cert_pem)

    return program


def test_values_are_drawn_once_stay_secret_and_certificates_are_renewed_in_time(
    project: Maker,
) -> None:
    one = project(_values(early=0))
    shown = one.stack.preview(diff=True).stdout
    assert one.up() == {"create": 6}
    first = one.stack.outputs()
    assert first["password"].secret
    assert first["bytes"].secret
    assert not first["leaf"].secret
    assert one.up() == {"same": 6}
    one.run(_values(early=20))
    result = one.stack.up(diff=True)
    shown += result.stdout
    renewed = one.stack.outputs()
    assert renewed["leaf"].value != first["leaf"].value, "it is due within 20 hours"
    assert renewed["password"].value == first["password"].value
    one.run(_values(early=20, length=30))
    one.up()
    assert len(one.stack.outputs()["password"].value) == 30
    stored = "".join(p.read_text() for p in (one.folder / "state").rglob("*.json") if p.is_file())
    for text in (shown, stored):
        assert first["password"].value not in text
        assert "PRIVATE KEY" not in text


def test_a_function_or_type_that_is_not_offered_is_named(project: Maker) -> None:
    one = project(lambda: void(pulumi_tls.get_certificate(url="https://127.0.0.1")))
    with pytest.raises(automation.CommandError, match="has no function tls:index"):
        one.up()
    one.run(lambda: void(pulumi_random.RandomPet("pet")))
    with pytest.raises(automation.CommandError, match="does not offer random:index/randomPet"):
        one.up()
