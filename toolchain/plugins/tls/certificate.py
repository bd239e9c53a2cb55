"""Certificates: what goes into one, and when it is due for renewal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from toolchain.plugins.tls.keys import PrivateKey, PublicKey, signing_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_USES: Final = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment",
    "key_agreement": "key_agreement",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
    "encipher_only": "encipher_only",
    "decipher_only": "decipher_only",
}
EXTENDED_USES: Final = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec_end_system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec_tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec_user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft_server_gated_crypto": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape_server_gated_crypto": ObjectIdentifier("2.16.840.1.113730.4.1"),
    "microsoft_commercial_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.2.1.22"),
    "microsoft_kernel_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.61.1.1"),
}


@dataclass(frozen=True)
class Authority:
    """Who signs; `certificate` is None where a certificate signs itself."""

    key: PrivateKey
    certificate: x509.Certificate | None = None


@dataclass(frozen=True)
class Holder:
    """Whom the certificate is for."""

    subject: x509.Name
    key: PublicKey
    names: Sequence[x509.GeneralName]


def sign(
    inputs: dict[str, Any], *, holder: Holder, authority: Authority, now: datetime
) -> x509.Certificate:
    """Sign a certificate for the inputs of SelfSignedCert or LocallySignedCert."""
    start = now.astimezone(UTC).replace(microsecond=0)
    signer = authority.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(holder.subject)
        .issuer_name(signer.subject if signer else holder.subject)
        .public_key(holder.key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(hours=inputs["validityPeriodHours"]))
    )
    for extension, critical in _extensions(inputs, holder, signer):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(authority.key, signing_hash(authority.key))


def _extensions(
    inputs: dict[str, Any], holder: Holder, signer: x509.Certificate | None
) -> list[tuple[x509.ExtensionType, bool]]:
    uses = inputs["allowedUses"]
    is_ca = inputs["isCaCertificate"]
    own_id = x509.SubjectKeyIdentifier.from_public_key(holder.key)
    found: list[tuple[x509.ExtensionType, bool]] = []
    if any(use in KEY_USES for use in uses):
        found.append((_key_usage(uses), True))
    extended = [EXTENDED_USES[use] for use in uses if use in EXTENDED_USES]
    if extended:
        found.append((x509.ExtendedKeyUsage(extended), False))
    length = inputs["maxPathLength"] if is_ca and inputs["maxPathLength"] >= 0 else None
    found.append((x509.BasicConstraints(ca=is_ca, path_length=length), True))
    if is_ca or inputs["setSubjectKeyId"]:
        found.append((own_id, False))
    issuer_id = _issuer_id(signer) if signer else own_id
    if issuer_id and (signer or inputs.get("setAuthorityKeyId")):
        identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id)
        found.append((identifier, False))
    if holder.names:
        found.append((x509.SubjectAlternativeName(holder.names), not holder.subject.rdns))
    return found


def _key_usage(uses: list[str]) -> x509.KeyUsage:
    asked = {argument: use in uses for use, argument in KEY_USES.items()}
    if not asked["key_agreement"]:  # the two others mean nothing without it
        asked["encipher_only"] = asked["decipher_only"] = False
    return x509.KeyUsage(**asked)


def _issuer_id(signer: x509.Certificate) -> x509.SubjectKeyIdentifier | None:
    try:
        return signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None


def describe(certificate: x509.Certificate) -> dict[str, Any]:
    """The outputs of a certificate resource."""
    return {
        "certPem": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "readyForRenewal": False,
        "validityStartTime": _timestamp(certificate.not_valid_before_utc),
        "validityEndTime": _timestamp(certificate.not_valid_after_utc),
    }


def renewal_due(state: dict[str, Any], *, early_hours: int, now: datetime) -> bool:
    """Say whether the certificate has expired, or will within its early renewal hours."""
    end = state.get("validityEndTime")
    if not end:
        return False
    return datetime.fromisoformat(end) - timedelta(hours=early_hours) <= now


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
