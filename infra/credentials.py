"""Passwords, certificates and keys: random to begin with, secret from birth to use."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_random as random
import pulumi_tls as tls

from infra.acl import USER_NAMES
from infra.config import Backup, Certificates
from infra.keys import age_identity, age_recipient, signer_of
from infra.rendering import BackupKeys
from infra.topology import Node

PASSWORD_LENGTH = 48


class Passwords(pulumi.ComponentResource):
    """One random password per ACL user: letters and digits only, safe in every file format."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("redis-ha:infra:Passwords", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        made = {
            user: random.RandomPassword(
                f"password-{user}", length=PASSWORD_LENGTH, special=False, opts=child
            ).result
            for user in USER_NAMES
        }
        self.by_user: pulumi.Output[dict[str, str]] = pulumi.Output.secret(
            pulumi.Output.all(**made)
        )
        self.register_outputs({"users": list(USER_NAMES)})


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM; the key is secret."""

    certificate: pulumi.Output[str]
    private_key: pulumi.Output[str]


class Authority(pulumi.ComponentResource):
    """The stack's own certificate authority, and the certificates that it signs."""

    certificate: pulumi.Output[str]

    def __init__(
        self, name: str, times: Certificates, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:infra:Authority", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._times = times
        self._key = _elliptic_key(f"{name}-key", self._child)
        self._cert = tls.SelfSignedCert(
            f"{name}-cert",
            private_key_pem=self._key.private_key_pem,
            subject=_subject("redis-ha CA"),
            is_ca_certificate=True,
            set_subject_key_id=True,
            set_authority_key_id=True,
            validity_period_hours=times.ca_validity_hours,
            allowed_uses=["cert_signing", "crl_signing"],
            opts=self._child,
        )
        self.certificate = self._cert.cert_pem
        self.register_outputs({"certificate": self.certificate})

    def issue(self, node: Node, *, also: Sequence[str] = ()) -> Pair:
        """Make a key and a certificate for a node: its address, loopback, and its names.

        `also` names what runs at the same address.
        """
        key = _elliptic_key(f"{node.name}-key", self._child)
        request = tls.CertRequest(
            f"{node.name}-request",
            private_key_pem=key.private_key_pem,
            subject=_subject(node.name),
            ip_addresses=[node.host, "127.0.0.1"],
            dns_names=list(dict.fromkeys([node.name, node.container, *also, "localhost"])),
            opts=self._child,
        )
        certificate = tls.LocallySignedCert(
            f"{node.name}-cert",
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=self._key.private_key_pem,
            ca_cert_pem=self._cert.cert_pem,
            set_subject_key_id=True,
            validity_period_hours=self._times.certificate_validity_hours,
            early_renewal_hours=self._times.certificate_renewal_hours,
            allowed_uses=["digital_signature", "server_auth", "client_auth"],
            opts=self._child,
        )
        return Pair(certificate.cert_pem, pulumi.Output.secret(key.private_key_pem))


class BackupSecrets(pulumi.ComponentResource):
    """The worker's signing key, and an age identity unless the operator brought recipients.

    `identity` is None when recipients were given: then only their holders can open a backup.
    """

    identity: pulumi.Output[str] | None = None

    def __init__(
        self, name: str, backup: Backup, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:infra:BackupSecrets", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        signing = tls.PrivateKey(f"{name}-signing-key", algorithm="ED25519", opts=child)
        self.signing_key: pulumi.Output[str] = pulumi.Output.secret(signing.private_key_pem_pkcs8)
        self.signer: pulumi.Output[str] = signing.public_key_pem.apply(signer_of)
        self.recipients: pulumi.Output[list[str]] = pulumi.Output.from_input(
            list(backup.backup_recipients)
        )
        if not backup.backup_recipients:
            seed = random.RandomBytes(f"{name}-identity", length=32, opts=child).base64
            self.identity = pulumi.Output.secret(seed.apply(age_identity))
            self.recipients = pulumi.Output.unsecret(seed.apply(lambda s: [age_recipient(s)]))
        self.register_outputs({"signer": self.signer, "recipients": self.recipients})

    @property
    def keys(self) -> pulumi.Output[BackupKeys]:
        """What the worker's settings say of these keys; nothing of it is secret."""
        return pulumi.Output.all(self.recipients, self.signer).apply(
            lambda made: BackupKeys(tuple(made[0]), made[1])
        )


def _elliptic_key(name: str, opts: pulumi.ResourceOptions) -> tls.PrivateKey:
    return tls.PrivateKey(name, algorithm="ECDSA", ecdsa_curve="P256", opts=opts)


def _subject(common_name: str) -> tls.CertRequestSubjectArgsDict:
    return {"common_name": common_name, "organization": "redis-ha"}
