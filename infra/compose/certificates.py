"""A certificate authority of the folder's own, and what it signs: as `infra.credentials` has it.

Where Pulumi is at hand its tls provider does this; here it is `cryptography`, with the same keys,
names, uses and times. Everything is PEM text; the time comes in.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.config import Certificates
from infra.topology import Node

LOOPBACK = IPv4Address("127.0.0.1")
# Clocks of a host and of those who connect to it differ a little.
BACKDATED = timedelta(minutes=5)
NO_USE = dict.fromkeys(
    (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    ),
    False,
)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: str
    private_key: str


def make_authority(times: Certificates, *, now: datetime) -> Pair:
    """Make a certificate authority that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("redis-ha CA")
    uses = x509.KeyUsage(**{**NO_USE, "key_cert_sign": True, "crl_sign": True})
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _dated(name, name, key, now=now, hours=times.ca_validity_hours)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(uses, critical=True)
        .add_extension(identifier, critical=False)
    )
    return _pair(builder.sign(key, SHA256()), key)


def issue(authority: Pair, node: Node, times: Certificates, *, now: datetime) -> Pair:
    """Make a key and a certificate for a node: its address, loopback, and its names."""
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    signing = cast(
        "ec.EllipticCurvePrivateKey", load_pem_private_key(authority.private_key.encode(), None)
    )
    key = ec.generate_private_key(ec.SECP256R1())
    uses = x509.KeyUsage(**{**NO_USE, "digital_signature": True})
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    public = signing.public_key()
    builder = (
        _dated(
            _name(node.name), issuer.subject, key, now=now, hours=times.certificate_validity_hours
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(uses, critical=True)
        .add_extension(both, critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(node)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return _pair(builder.sign(signing, SHA256()), key)


def check(pair: Pair) -> None:
    """See that a certificate and its key can be read and belong together. Errors: ValueError."""
    certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
    try:
        key = load_pem_private_key(pair.private_key.encode(), None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("a private key can't be read") from error
    if key.public_key() != certificate.public_key():
        raise ValueError("a private key is not its certificate's")


def lasts(pair: Pair, times: Certificates, *, now: datetime) -> bool:
    """Say whether a certificate isn't due for renewal."""
    certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
    left = certificate.not_valid_after_utc - now
    return left > timedelta(hours=times.certificate_renewal_hours)


def serves(pair: Pair, node: Node, *, authority: Pair) -> bool:
    """Say whether a pair is the authority's and for this node."""
    certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    try:
        certificate.verify_directly_issued_by(issuer)
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (InvalidSignature, ValueError, x509.ExtensionNotFound):
        return False
    return list(extension.value) == _names(node)


def _dated(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    now: datetime,
    hours: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(hours=hours))
    )


def _names(node: Node) -> list[x509.GeneralName]:
    addresses = [x509.IPAddress(address) for address in (IPv4Address(node.host), LOOPBACK)]
    names = dict.fromkeys([node.name, node.container, "localhost"])
    return [*addresses, *(x509.DNSName(name) for name in names)]


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "redis-ha"),
        ]
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(certificate.public_bytes(Encoding.PEM).decode(), private.decode())
