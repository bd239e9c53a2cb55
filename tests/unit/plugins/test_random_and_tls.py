"""Random values and certificates, without an engine."""

from __future__ import annotations

import base64
import random
import re
import string
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from toolchain.plugins.base.checking import complete, failures
from toolchain.plugins.base.errors import OperationFailed
from toolchain.plugins.base.lifetime import Lifetime
from toolchain.plugins.base.resource import Operation, ResourceType
from toolchain.plugins.random.plugin import PLUGIN as RANDOM
from toolchain.plugins.random.text import generate, rule_of
from toolchain.plugins.tls import keys
from toolchain.plugins.tls.plugin import PLUGIN as TLS
from toolchain.plugins.tls.plugin import LocallySignedCert, SelfSignedCert

if TYPE_CHECKING:
    from pathlib import Path

TYPES = {**RANDOM.connect({}), **TLS.connect({})}
PASSWORD = TYPES["random:index/randomPassword:RandomPassword"]
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def _create(kind: ResourceType, **given: Any) -> dict[str, Any]:
    inputs = complete(kind.schema, given, olds={}, name="x", seed=b"")
    assert failures(kind.schema, inputs) == []
    assert kind.check(inputs) == []
    operation = Operation("urn", Lifetime(), warn=print)
    return kind.create(inputs, operation).state


@given(
    st.integers(1, 60),
    st.fixed_dictionaries({c: st.booleans() for c in ("upper", "lower", "numeric", "special")}),
    st.fixed_dictionaries({c: st.integers(0, 5) for c in ("minUpper", "minNumeric")}),
)
def test_passwords_follow_their_rule(
    length: int, allowed: dict[str, bool], minima: dict[str, int]
) -> None:
    rule = rule_of({"length": length, **allowed, **minima})
    if rule.fault():
        return
    drawn = generate(rule, random.Random(1))
    assert len(drawn) == length
    assert sum(c in string.ascii_uppercase for c in drawn) >= minima["minUpper"]
    assert sum(c in string.digits for c in drawn) >= minima["minNumeric"]
    if not allowed["lower"]:
        assert not any(c in string.ascii_lowercase for c in drawn)
    if not allowed["special"]:
        assert drawn.isalnum()


def test_only_the_given_special_characters_are_used() -> None:
    drawn = generate(
        rule_of({"length": 200, "overrideSpecial": "_-", "minSpecial": 5}), random.Random(1)
    )
    assert re.fullmatch(r"[A-Za-z0-9_-]{200}", drawn)


def test_a_rule_that_cannot_be_followed_is_refused() -> None:
    inputs = complete(PASSWORD.schema, {"length": 3, "minUpper": 4}, olds={}, name="x", seed=b"")
    assert [f.reason for f in PASSWORD.check(inputs)] == [
        "length 3 is below the sum of the minima, 4"
    ]


def test_bytes_and_ids_agree_in_all_notations() -> None:
    drawn = _create(TYPES["random:index/randomBytes:RandomBytes"], length=32)
    assert len(bytes.fromhex(drawn["hex"])) == 32
    identity = _create(TYPES["random:index/randomId:RandomId"], byteLength=8, prefix="p-")
    assert identity["hex"] == f"p-{int(identity['dec'][2:]):016x}"


@pytest.mark.parametrize(
    ("algorithm", "curve"),
    [("ED25519", "P224"), ("ECDSA", "P256"), ("ECDSA", "P384"), ("ECDSA", "P224"), ("RSA", "P224")],
)
def test_keys_are_given_in_all_notations(algorithm: str, curve: str) -> None:
    made = _create(TYPES["tls:index/privateKey:PrivateKey"], algorithm=algorithm, ecdsaCurve=curve)
    for name in ("privateKeyPem", "privateKeyPemPkcs8"):
        assert keys.algorithm_of(keys.load(made[name], whose=name)) == algorithm
    assert made["privateKeyPemPkcs8"].startswith("-----BEGIN PRIVATE KEY-----")
    assert made["publicKeyPem"].startswith("-----BEGIN PUBLIC KEY-----")
    if curve == "P224" and algorithm == "ECDSA":
        assert made["publicKeyOpenssh"] == made["publicKeyFingerprintSha256"] == ""
        return
    public = serialization.load_ssh_public_key(made["publicKeyOpenssh"].encode())
    sha256 = serialization.ssh_key_fingerprint(public, hashes.SHA256())
    shown = base64.b64encode(sha256).decode().rstrip("=")
    assert made["publicKeyFingerprintSha256"] == f"SHA256:{shown}"
    md5 = serialization.ssh_key_fingerprint(public, hashes.MD5())
    assert made["publicKeyFingerprintMd5"] == md5.hex(":")


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def _authority(algorithm: str = "ED25519", **given: Any) -> dict[str, Any]:
    key = _create(TYPES["tls:index/privateKey:PrivateKey"], algorithm=algorithm, ecdsaCurve="P256")
    terms = {
        "allowedUses": ["cert_signing", "crl_signing", "digital_signature"],
        "isCaCertificate": True,
        "privateKeyPem": key["privateKeyPem"],
        "subject": {"commonName": "our CA", "organization": "us"},
        "validityPeriodHours": 1000,
        **given,
    }
    return _create(SelfSignedCert(lambda: NOW), **terms)


def _leaf(authority: dict[str, Any], **given: Any) -> dict[str, Any]:
    key = _create(TYPES["tls:index/privateKey:PrivateKey"], algorithm="ED25519")
    request = _create(
        TYPES["tls:index/certRequest:CertRequest"],
        privateKeyPem=key["privateKeyPem"],
        subject={"commonName": "redis-1"},
        dnsNames=["redis-1", "localhost"],
        ipAddresses=["172.28.0.11", "127.0.0.1"],
    )
    terms = {
        "allowedUses": ["digital_signature", "server_auth", "client_auth"],
        "caCertPem": authority["certPem"],
        "caPrivateKeyPem": authority["privateKeyPem"],
        "certRequestPem": request["certRequestPem"],
        "validityPeriodHours": 100,
        **given,
    }
    return _create(LocallySignedCert(lambda: NOW), **terms)


@pytest.mark.parametrize("algorithm", ["ED25519", "ECDSA", "RSA"])
def test_openssl_trusts_a_signed_certificate(algorithm: str, tmp_path: Path) -> None:
    authority = _authority(algorithm)
    leaf = _leaf(authority)
    (tmp_path / "ca.pem").write_text(authority["certPem"])
    (tmp_path / "leaf.pem").write_text(leaf["certPem"])
    check = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver"]
    at = str(int((NOW + timedelta(hours=1)).timestamp()))
    names = ["-verify_ip", "172.28.0.11", "-verify_hostname", "redis-1"]
    shown = _run(
        *check, *names, "-attime", at, "-CAfile", f"{tmp_path}/ca.pem", f"{tmp_path}/leaf.pem"
    )
    assert shown.strip().endswith("OK")


def test_a_certificate_says_what_was_asked_for() -> None:
    authority = _authority(maxPathLength=0)
    root = x509.load_pem_x509_certificate(authority["certPem"].encode())
    basic = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert basic.value == x509.BasicConstraints(ca=True, path_length=0)
    leaf = x509.load_pem_x509_certificate(
        _leaf(authority, setSubjectKeyId=True)["certPem"].encode()
    )
    key_id = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    subject_id = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert key_id.key_identifier == subject_id.digest
    assert leaf.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(hours=100)
    assert leaf.issuer == root.subject


@pytest.mark.parametrize(
    ("hours_later", "early", "due"),
    [(99, 0, False), (100, 0, True), (79, 20, False), (80, 20, True)],
)
def test_a_certificate_is_replaced_when_its_renewal_is_due(
    hours_later: int, early: int, due: bool
) -> None:
    state = _leaf(_authority(), earlyRenewalHours=early)
    later = LocallySignedCert(lambda: NOW + timedelta(hours=hours_later))
    found = later.diff(state, {n: state[n] for n in later.schema.inputs if n in state})
    assert ("readyForRenewal" in found) is due
    assert all(change.replaces for change in found.values())
    operation = Operation("urn", Lifetime(), warn=print)
    assert later.read("1", state, operation).state["readyForRenewal"] is due


def test_early_renewal_hours_alone_replace_nothing() -> None:
    state = _leaf(_authority())
    kind = LocallySignedCert(lambda: NOW)
    inputs = {n: state[n] for n in kind.schema.inputs if n in state}
    found = kind.diff(state, {**inputs, "earlyRenewalHours": 5})
    assert {name: change.replaces for name, change in found.items()} == {"earlyRenewalHours": False}


def test_what_is_no_key_or_certificate_is_named() -> None:
    authority = _authority()
    with pytest.raises(OperationFailed, match="caCertPem"):
        _leaf(authority, caCertPem="nonsense")
    with pytest.raises(OperationFailed, match="caPrivateKeyPem"):
        _leaf(authority, caPrivateKeyPem="nonsense")
    with pytest.raises(OperationFailed, match="at least one name"):
        _authority(subject={})


def test_an_rsa_key_has_the_asked_size() -> None:
    made = _create(TYPES["tls:index/privateKey:PrivateKey"], algorithm="RSA", rsaBits=3072)
    key = keys.load(made["privateKeyPem"], whose="key")
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 3072
    assert key.sign(b"x", padding.PKCS1v15(), keys.signing_hash(key))
