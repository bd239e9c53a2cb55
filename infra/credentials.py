"""Passwords, certificates and keys: random to begin with, secret from birth to use."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_random as random
import pulumi_tls as tls

from infra.acl import USER_NAMES, also
from infra.config import Backup, Certificates, Generations
from infra.generations import Generation, nth
from infra.keys import age_identity, age_recipient, signer_of
from infra.rendering import BackupKeys
from infra.topology import Node

PASSWORD_LENGTH = 48


class Passwords(pulumi.ComponentResource):
    """One random password per ACL user: letters and digits only, safe in every file format.

    While they are rotated each has two, the second under `also(user)`.
    """

    def __init__(
        self, name: str, generation: Generation, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:infra:Passwords", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        made = {user: self._password(user, generation.used) for user in USER_NAMES}
        if generation.accepted is not None:
            second = generation.accepted
            made |= {also(user): self._password(user, second) for user in USER_NAMES}
        self.by_user: pulumi.Output[dict[str, str]] = pulumi.Output.secret(
            pulumi.Output.all(**made)
        )
        self.register_outputs({"users": list(USER_NAMES)})

    def _password(self, user: str, number: int) -> pulumi.Output[str]:
        return random.RandomPassword(
            nth(f"password-{user}", number),
            length=PASSWORD_LENGTH,
            special=False,
            opts=self._child,
        ).result


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM; the key is secret."""

    certificate: pulumi.Output[str]
    private_key: pulumi.Output[str]


class Authority(pulumi.ComponentResource):
    """The stack's own certificate authority, and the certificates that it signs.

    `certificate` is what to trust: while the CA is rotated, both, the one that signs first.
    """

    certificate: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        times: Certificates,
        generations: Generations,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("redis-ha:infra:Authority", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._times = times
        self._issue_number = generations.certificate_generation
        made = [self._make(name, number) for number in generations.authority_generation.all]
        self._key, self._cert = made[0]
        self.certificate = self._cert.cert_pem
        if len(made) > 1:
            pems = pulumi.Output.all(*(cert.cert_pem for _, cert in made))
            self.certificate = pems.apply("".join)
        self.register_outputs({"certificate": self.certificate})

    def _make(self, name: str, number: int) -> tuple[tls.PrivateKey, tls.SelfSignedCert]:
        key = _elliptic_key(nth(f"{name}-key", number), self._child)
        # Names tell the two apart: a chain is built by the issuer's name.
        suffix = f" {number}" if number > 1 else ""
        return key, tls.SelfSignedCert(
            nth(f"{name}-cert", number),
            private_key_pem=key.private_key_pem,
            subject=_subject(f"redis-ha CA{suffix}"),
            is_ca_certificate=True,
            set_subject_key_id=True,
            set_authority_key_id=True,
            validity_period_hours=self._times.ca_validity_hours,
            allowed_uses=["cert_signing", "crl_signing"],
            opts=self._child,
        )

    def issue(self, node: Node, *, also: Sequence[str] = ()) -> Pair:
        """Make a key and a certificate for a node: its address, loopback, and its names.

        `also` names what runs at the same address.
        """
        number = self._issue_number
        key = _elliptic_key(nth(f"{node.name}-key", number), self._child)
        request = tls.CertRequest(
            nth(f"{node.name}-request", number),
            private_key_pem=key.private_key_pem,
            subject=_subject(node.name),
            ip_addresses=[node.host, "127.0.0.1"],
            dns_names=list(dict.fromkeys([node.name, node.container, *also, "localhost"])),
            opts=self._child,
        )
        certificate = tls.LocallySignedCert(
            nth(f"{node.name}-cert", number),
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
    While the keys are rotated `identity` holds both, a line each, and both signers are trusted;
    the worker encrypts and signs with the new ones alone. With `protect` those that are used stay
    when the stack is destroyed, for backups that stay as well; an old one must be free to go.
    """

    identity: pulumi.Output[str] | None = None
    # The recipient of each generation that is kept, by its number.
    by_generation: pulumi.Output[dict[str, str]] | None = None

    def __init__(
        self,
        name: str,
        backup: Backup,
        generation: Generation,
        opts: pulumi.ResourceOptions | None = None,
        *,
        protect: bool = False,
    ) -> None:
        super().__init__("redis-ha:infra:BackupSecrets", name, None, opts)
        self._protected = generation.used if protect else None
        signing = [self._signing_key(name, number) for number in generation.all]
        self.signing_key: pulumi.Output[str] = pulumi.Output.secret(
            signing[0].private_key_pem_pkcs8
        )
        self.signer: pulumi.Output[str] = pulumi.Output.all(
            *(key.public_key_pem for key in signing)
        ).apply(lambda pems: ",".join(map(signer_of, pems)))
        self.recipients: pulumi.Output[list[str]] = pulumi.Output.from_input(
            list(backup.backup_recipients)
        )
        if not backup.backup_recipients:
            self._make_identities(name, generation)
        self.register_outputs({"signer": self.signer, "recipients": self.recipients})

    def _signing_key(self, name: str, number: int) -> tls.PrivateKey:
        return tls.PrivateKey(
            nth(f"{name}-signing-key", number), algorithm="ED25519", opts=self._opts(number)
        )

    def _make_identities(self, name: str, generation: Generation) -> None:
        seeds = [
            random.RandomBytes(
                nth(f"{name}-identity", number), length=32, opts=self._opts(number)
            ).base64
            for number in generation.all
        ]
        self.identity = pulumi.Output.secret(
            pulumi.Output.all(*seeds).apply(lambda made: "\n".join(map(age_identity, made)))
        )
        self.recipients = pulumi.Output.unsecret(seeds[0].apply(lambda s: [age_recipient(s)]))
        numbers = [str(number) for number in generation.all]
        self.by_generation = pulumi.Output.unsecret(
            pulumi.Output.all(*seeds).apply(
                lambda made: dict(zip(numbers, map(age_recipient, made), strict=True))
            )
        )

    @property
    def outputs(self) -> dict[str, pulumi.Output[Any]]:
        """Give what the stack says of them; the identity is secret."""
        own = {"backupIdentity": self.identity, "backupKeys": self.by_generation}
        return {
            "backupRecipients": self.recipients,
            "backupSigner": self.signer,
            **{name: value for name, value in own.items() if value is not None},
        }

    def _opts(self, number: int) -> pulumi.ResourceOptions:
        # None, not False: then a protected component's children are protected as well.
        protect = True if number == self._protected else None
        return pulumi.ResourceOptions(parent=self, protect=protect)

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
