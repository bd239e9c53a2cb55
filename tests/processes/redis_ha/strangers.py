"""Servers that are no sentinels: they talk nonsense, in clear or over TLS, or show an old paper."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.processes.ports import free_ports


@contextmanager
def stranger(says: bytes, *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answer whatever is sent with the same bytes; give the port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = free_ports(1)[0]
        listener.bind(("127.0.0.1", port))
        listener.listen()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    plain, _ = listener.accept()
                    threading.Thread(target=talk, args=(plain,), daemon=True).start()

        def talk(plain: socket.socket) -> None:
            with (
                suppress(OSError),
                plain,
                tls.wrap_socket(plain, server_side=True) if tls else plain as peer,
            ):
                while peer.recv(4096):
                    peer.sendall(says)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield port
        # Wakes accept(): closing alone does not.
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def paper(directory: Path, *, valid_for: timedelta) -> tuple[Path, ssl.SSLContext]:
    """Make a CA and a certificate for 127.0.0.1 that ends in `valid_for`; CA file and server."""
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stranger")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(
            issuer_name=name,
            subject_name=name,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=datetime.now(UTC) - timedelta(days=30),
            not_valid_after=datetime.now(UTC) + valid_for,
        )
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    ca, both = directory / "ca.crt", directory / "both.pem"
    ca.write_bytes(certificate.public_bytes(pem))
    both.write_bytes(private + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return ca, context
