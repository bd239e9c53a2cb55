"""The types of the `tls` provider. All but earlyRenewalHours replaces."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from typing_extensions import override

from toolchain.plugins.base import diffing
from toolchain.plugins.base.errors import OperationFailed
from toolchain.plugins.base.resource import Made, Operation, Plugin, ResourceType
from toolchain.plugins.base.rules import at_least, one_of
from toolchain.plugins.base.schema import (
    BOOLEAN,
    INTEGER,
    STRING,
    STRINGS,
    Field,
    Schema,
    block,
    properties,
)
from toolchain.plugins.tls import certificate, keys, names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FLAG: Final = BOOLEAN.but(default=False)
_SUBJECT: Final = block(
    {
        **dict.fromkeys(
            (
                "commonName",
                "country",
                "locality",
                "organization",
                "organizationalUnit",
                "postalCode",
                "province",
                "serialNumber",
            ),
            STRING,
        ),
        "streetAddresses": STRINGS,
    },
    unsupported=properties("emailAddress"),
)
_NAMES: Final[Mapping[str, Field]] = {
    "dnsNames": STRINGS,
    "ipAddresses": STRINGS.but(element=STRING.but(rule=names.address_fault)),
    "subject": _SUBJECT,
    "uris": STRINGS,
}
_TERMS: Final[Mapping[str, Field]] = {
    "allowedUses": STRINGS.but(
        required=True,
        element=STRING.but(rule=one_of(*certificate.KEY_USES, *certificate.EXTENDED_USES)),
    ),
    "earlyRenewalHours": INTEGER.but(default=0, rule=at_least(0), replaces=False),
    "isCaCertificate": _FLAG,
    "maxPathLength": INTEGER.but(default=-1, rule=at_least(-1)),
    "setSubjectKeyId": _FLAG,
    "validityPeriodHours": INTEGER.but(required=True, rule=at_least(0)),
}
_VALIDITY: Final = properties("certPem readyForRenewal validityEndTime validityStartTime")
_WRITE_ONLY: Final = properties("privateKeyPemWo privateKeyPemWoVersion")


class PrivateKey(ResourceType):
    """A private key in all its notations; the id is a hash of the public one."""

    schema = Schema(
        "tls:index/privateKey:PrivateKey",
        inputs={
            "algorithm": STRING.but(required=True, rule=one_of(*keys.ALGORITHMS)),
            "ecdsaCurve": STRING.but(default="P224", rule=one_of(*keys.CURVES)),
            "rsaBits": INTEGER.but(default=2048, rule=at_least(1024)),
        },
        outputs=properties(
            "publicKeyPem publicKeyOpenssh publicKeyFingerprintMd5 publicKeyFingerprintSha256"
        ),
        secret_outputs=properties("privateKeyOpenssh privateKeyPem privateKeyPemPkcs8"),
    )

    @override
    def create(self, inputs: dict[str, Any], operation: Operation) -> Made:
        """Make the key."""
        key = keys.generate(inputs["algorithm"], curve=inputs["ecdsaCurve"], bits=inputs["rsaBits"])
        described = keys.describe(key)
        public = described["publicKeyPem"].encode()
        identity = hashlib.sha1(public, usedforsecurity=False).hexdigest()
        return Made(identity, {**inputs, **described})


class CertRequest(ResourceType):
    """A certificate signing request."""

    schema = Schema(
        "tls:index/certRequest:CertRequest",
        inputs={**_NAMES, "privateKeyPem": STRING.but(required=True)},
        outputs=properties("certRequestPem keyAlgorithm"),
        secret_outputs=properties("privateKeyPem"),
        unsupported=_WRITE_ONLY,
    )

    @override
    def create(self, inputs: dict[str, Any], operation: Operation) -> Made:
        """Sign the request with the holder's own key."""
        key = keys.load(inputs["privateKeyPem"], whose="privateKeyPem")
        builder = x509.CertificateSigningRequestBuilder(names.subject(inputs.get("subject")))
        alternatives = names.alternative_names(inputs)
        if alternatives:
            extension = x509.SubjectAlternativeName(alternatives)
            builder = builder.add_extension(extension, critical=False)
        request = builder.sign(key, keys.signing_hash(key))
        pem = request.public_bytes(serialization.Encoding.PEM)
        described = {"certRequestPem": pem.decode(), "keyAlgorithm": keys.algorithm_of(key)}
        identity = hashlib.sha1(pem, usedforsecurity=False).hexdigest()
        return Made(identity, {**inputs, **described})


class Certificate(ResourceType):
    """What both certificates share: a certificate due for renewal is replaced.

    Source: modifyPlanIfCertificateReadyForRenewal of terraform-provider-tls.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    @override
    def diff(self, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, diffing.Change]:
        """Replace what the inputs change, and what is due."""
        found = super().diff(state, inputs)
        if self._due(state, inputs):
            found["readyForRenewal"] = diffing.Change("update", replaces=True)
        return found

    @override
    def read(self, identity: str, state: dict[str, Any], operation: Operation) -> Made:
        """Note whether it is due; there is nothing else to read."""
        due = self._due(state, state)
        return Made(identity, {**state, "readyForRenewal": True} if due else state)

    def _due(self, state: dict[str, Any], inputs: dict[str, Any]) -> bool:
        hours = inputs.get("earlyRenewalHours", 0)
        return certificate.renewal_due(
            state, early_hours=hours if isinstance(hours, int) else 0, now=self._clock()
        )


class SelfSignedCert(Certificate):
    """A certificate that its own key signs, such as a root CA."""

    schema = Schema(
        "tls:index/selfSignedCert:SelfSignedCert",
        inputs={
            **_NAMES,
            **_TERMS,
            "privateKeyPem": STRING.but(required=True),
            "setAuthorityKeyId": _FLAG,
        },
        outputs=_VALIDITY | {"keyAlgorithm"},
        secret_outputs=properties("privateKeyPem"),
        unsupported=_WRITE_ONLY,
    )

    @override
    def create(self, inputs: dict[str, Any], operation: Operation) -> Made:
        """Sign it."""
        key = keys.load(inputs["privateKeyPem"], whose="privateKeyPem")
        holder = certificate.Holder(
            subject=names.subject(inputs.get("subject")),
            key=key.public_key(),
            names=names.alternative_names(inputs),
        )
        if inputs["isCaCertificate"] and not holder.subject.rdns:
            cause = "a certificate authority needs at least one name in its subject"
            raise OperationFailed(operation="sign", subject="certificate", cause=cause)
        signed = certificate.sign(
            inputs, holder=holder, authority=certificate.Authority(key), now=self._clock()
        )
        described = {**certificate.describe(signed), "keyAlgorithm": keys.algorithm_of(key)}
        return Made(str(signed.serial_number), {**inputs, **described})


class LocallySignedCert(Certificate):
    """A certificate for a request, signed by a CA whose key is at hand."""

    schema = Schema(
        "tls:index/locallySignedCert:LocallySignedCert",
        inputs={
            **_TERMS,
            "caCertPem": STRING.but(required=True),
            "caPrivateKeyPem": STRING.but(required=True),
            "certRequestPem": STRING.but(required=True),
        },
        outputs=_VALIDITY | {"caKeyAlgorithm"},
        secret_outputs=properties("caPrivateKeyPem"),
        unsupported=properties("caPrivateKeyPemWo caPrivateKeyPemWoVersion"),
    )

    @override
    def create(self, inputs: dict[str, Any], operation: Operation) -> Made:
        """Sign it."""
        ca_key = keys.load(inputs["caPrivateKeyPem"], whose="caPrivateKeyPem")
        authority = certificate.Authority(ca_key, _certificate(inputs["caCertPem"]))
        holder = _holder(inputs["certRequestPem"])
        signed = certificate.sign(inputs, holder=holder, authority=authority, now=self._clock())
        described = {**certificate.describe(signed), "caKeyAlgorithm": keys.algorithm_of(ca_key)}
        return Made(str(signed.serial_number), {**inputs, **described})


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise OperationFailed(operation="read", subject="caCertPem", cause=str(error)) from error


def _holder(pem: str) -> certificate.Holder:
    try:
        request = x509.load_pem_x509_csr(pem.encode())
    except ValueError as error:
        raise OperationFailed(
            operation="read", subject="certRequestPem", cause=str(error)
        ) from error
    key = request.public_key()
    if not isinstance(key, keys.PublicKey):
        cause = f"{type(key).__name__} is not supported"
        raise OperationFailed(operation="use", subject="certRequestPem", cause=cause)
    try:
        extension = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        alternatives = list(extension.value)
    except x509.ExtensionNotFound:
        alternatives = []
    return certificate.Holder(subject=request.subject, key=key, names=alternatives)


def _connect(_config: Mapping[str, Any]) -> Mapping[str, ResourceType]:
    def clock() -> datetime:
        return datetime.now(UTC)

    types: list[ResourceType] = [
        PrivateKey(),
        CertRequest(),
        SelfSignedCert(clock),
        LocallySignedCert(clock),
    ]
    return {kind.schema.token: kind for kind in types}


_CONFIG: Final = Schema("tls", inputs={}, unsupported=properties("proxy"))
PLUGIN: Final = Plugin("tls", "5.6.2", _CONFIG, _connect)
