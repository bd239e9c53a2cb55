"""Subjects and alternative names. Pure."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

# In the order in which Go writes them (pkix.Name.ToRDNSequence).
_PARTS: Final = (
    ("country", NameOID.COUNTRY_NAME),
    ("organization", NameOID.ORGANIZATION_NAME),
    ("organizationalUnit", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ("locality", NameOID.LOCALITY_NAME),
    ("province", NameOID.STATE_OR_PROVINCE_NAME),
    ("streetAddresses", NameOID.STREET_ADDRESS),
    ("postalCode", NameOID.POSTAL_CODE),
    ("commonName", NameOID.COMMON_NAME),
    ("serialNumber", NameOID.SERIAL_NUMBER),
)


def subject(given: dict[str, Any] | None) -> x509.Name:
    """The distinguished name of a `subject` block."""
    return x509.Name(
        [
            x509.NameAttribute(oid, value)
            for part, oid in _PARTS
            for value in _values((given or {}).get(part))
        ]
    )


def _values(given: str | list[str] | None) -> list[str]:
    return [given] if isinstance(given, str) and given else list(given or [])


def alternative_names(inputs: dict[str, Any]) -> list[x509.GeneralName]:
    """The subject alternative names of dnsNames, ipAddresses and uris."""
    return [
        *(x509.DNSName(name) for name in inputs.get("dnsNames", [])),
        *(x509.IPAddress(ipaddress.ip_address(text)) for text in inputs.get("ipAddresses", [])),
        *(x509.UniformResourceIdentifier(uri) for uri in inputs.get("uris", [])),
    ]


def address_fault(text: str) -> str | None:
    """What is wrong with an IP address, or None: a rule for the schema."""
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        return str(error)
    return None
