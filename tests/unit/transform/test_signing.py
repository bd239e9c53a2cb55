import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.errors import UsageError
from backup_worker.transform.signing import (
    BadSignature,
    MalformedEnvelope,
    Signer,
    UnknownSigner,
    key_id,
    read_trusted,
    verify,
    verify_exact,
)

TYPE = "application/vnd.redis-ha.manifest+json"
SIGNER = Signer.generate()
ENVELOPE = SIGNER.sign(b'{"offset": 17}', payload_type=TYPE)


def check(envelope: bytes, *trusted: bytes, payload_type: str = TYPE) -> bytes:
    return verify(envelope, trusted, payload_type=payload_type, subject="manifest 1")


def changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(ENVELOPE), **fields}).encode()


@given(st.binary(max_size=300), st.text(max_size=30))
def test_round_trip(payload: bytes, payload_type: str) -> None:
    envelope = SIGNER.sign(payload, payload_type=payload_type)
    assert check(envelope, SIGNER.public_key, payload_type=payload_type) == payload


def test_one_trusted_signer_of_several_is_enough() -> None:
    other = Signer.generate()
    assert check(ENVELOPE, other.public_key, SIGNER.public_key) == b'{"offset": 17}'


def test_openssl_accepts_the_signature(tmp_path: Path) -> None:
    """PAE as the DSSE protocol writes it, checked by another implementation of Ed25519."""
    fields = json.loads(ENVELOPE)
    payload = base64.b64decode(fields["payload"])
    message = f"DSSEv1 {len(TYPE)} {TYPE} {len(payload)} ".encode() + payload
    (tmp_path / "message").write_bytes(message)
    (tmp_path / "sig").write_bytes(base64.b64decode(fields["signatures"][0]["sig"]))
    (tmp_path / "key").write_bytes(SIGNER.to_pem())
    subprocess.run(
        [
            "openssl",
            "pkeyutl",
            "-verify",
            "-rawin",
            "-inkey",
            "key",
            "-in",
            "message",
            "-sigfile",
            "sig",
        ],
        check=True,
        cwd=tmp_path,
        capture_output=True,
    )


def test_the_url_safe_alphabet_is_accepted() -> None:
    envelope = SIGNER.sign(b"\xff\xfe\xfb" * 5, payload_type=TYPE)
    safe = {ord("+"): "-", ord("/"): "_"}
    fields = json.loads(envelope)
    fields["payload"] = fields["payload"].translate(safe)
    fields["signatures"][0]["sig"] = fields["signatures"][0]["sig"].translate(safe)
    assert check(json.dumps(fields).encode(), SIGNER.public_key) == b"\xff\xfe\xfb" * 5


def test_unknown_signer_is_named() -> None:
    with pytest.raises(UnknownSigner) as raised:
        check(ENVELOPE, Signer.generate().public_key)
    assert SIGNER.key_id in str(raised.value)
    assert raised.value.exit_code == 4


def test_a_stranger_s_name_is_told_in_letters_that_can_be_printed() -> None:
    envelope = changed(signatures=[{"sig": "AA==", "keyid": "\ud800\x1b[2J" + "x" * 10_000}])
    with pytest.raises(UnknownSigner) as raised:
        check(envelope, SIGNER.public_key)
    assert raised.value.cause.isascii()
    assert raised.value.cause.isprintable()
    assert len(raised.value.cause) < 200


def test_nobody_trusted() -> None:
    with pytest.raises(UnknownSigner):
        check(ENVELOPE)


def test_a_changed_payload_is_a_bad_signature() -> None:
    payload = base64.b64encode(b'{"offset": 18}').decode()
    with pytest.raises(BadSignature, match="manifest 1"):
        check(changed(payload=payload), SIGNER.public_key)


def test_a_changed_payload_type_is_a_bad_signature() -> None:
    with pytest.raises(BadSignature):
        check(changed(payloadType="text/plain"), SIGNER.public_key, payload_type="text/plain")


def test_a_stranger_under_a_trusted_name_is_a_bad_signature() -> None:
    forged = json.loads(Signer.generate().sign(b"evil", payload_type=TYPE))
    forged["signatures"][0]["keyid"] = SIGNER.key_id
    with pytest.raises(BadSignature):
        check(json.dumps(forged).encode(), SIGNER.public_key)


def test_a_wrong_key_id_is_only_a_hint() -> None:
    fields = json.loads(ENVELOPE)
    fields["signatures"][0]["keyid"] = "nobody"
    assert check(json.dumps(fields).encode(), SIGNER.public_key) == b'{"offset": 17}'


def test_another_kind_of_payload_is_refused() -> None:
    with pytest.raises(MalformedEnvelope, match="payload type"):
        check(ENVELOPE, SIGNER.public_key, payload_type="application/other")


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"[]",
        b"17",
        b"\xff\xfe",
        ENVELOPE[:-10],
        changed(signatures=[]),
        changed(signatures=["x"]),
        changed(signatures=[{"keyid": "x"}]),
        changed(payload="not base64!"),
        changed(payload=None),
        changed(payloadType=5),
        changed(payloadType="\ud800"),
        changed(signatures=[{"sig": "AA==", "keyid": "x"}], payload="\ud800"),
        b"[" * 200_000,
        b'{"payload":' * 100_000,
        b"1" * 5000,
    ],
)
def test_what_is_no_envelope(envelope: bytes) -> None:
    with pytest.raises(MalformedEnvelope):
        check(envelope, SIGNER.public_key)


def test_a_key_survives_its_pem() -> None:
    assert Signer.load(SIGNER.to_pem(), source="x").public_key == SIGNER.public_key


def test_a_key_made_by_openssl_is_read() -> None:
    pem = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True
    ).stdout
    assert len(Signer.load(pem, source="x").public_key) == 32


@pytest.mark.parametrize("algorithm", ["x25519", "ed448"])
def test_a_key_of_another_type_is_refused(algorithm: str) -> None:
    command = ["openssl", "genpkey", "-algorithm", algorithm]
    pem = subprocess.run(command, capture_output=True, check=True).stdout
    with pytest.raises(UsageError, match=r"signing key s\.pem: it is not of the type Ed25519"):
        Signer.load(pem, source="s.pem")


def test_what_is_no_key() -> None:
    with pytest.raises(UsageError, match=r"s\.pem"):
        Signer.load(b"garbage", source="s.pem")


def test_trusted_signers_are_read_or_refused_by_name() -> None:
    assert read_trusted([SIGNER.key_id]) == (SIGNER.public_key,)
    assert key_id(SIGNER.public_key) == SIGNER.key_id
    for text in ["", "x", "AAAA", SIGNER.key_id + "!"]:
        with pytest.raises(UsageError, match="trusted signer"):
            read_trusted([text])


@pytest.mark.parametrize(
    "envelope",
    [
        ENVELOPE[:-1],
        ENVELOPE + b" ",
        ENVELOPE.replace(b": ", b":", 1),
        changed(extra=1),
        ENVELOPE.replace(SIGNER.key_id.encode(), key_id(bytes(32)).encode()),
    ],
)
def test_what_no_signature_covers_is_seen_all_the_same(envelope: bytes) -> None:
    trusted = (Signer.generate().public_key, SIGNER.public_key)
    assert check(envelope, *trusted) == b'{"offset": 17}'
    with pytest.raises(MalformedEnvelope, match="its payload is whole"):
        verify_exact(envelope, trusted, payload_type=TYPE, subject="manifest 1")
    whole = verify_exact(ENVELOPE, trusted, payload_type=TYPE, subject="manifest 1")
    assert whole == b'{"offset": 17}'
