"""A peer that goes away between the connect and the handshake leaves nothing open."""

import gc
import socket
import ssl
import struct
import warnings
from pathlib import Path

import pytest

from redis_ha.client.wires import PatientSocket
from redis_ha.connection import TlsSocket, tls_context
from tests.processes.cluster_files import write_tls


def reset_before_handshake() -> socket.socket:
    """Give a connection whose peer has reset it already."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=1.0)
        peer, _ = listener.accept()
        # linger on, 0 s: close sends RST.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    return client


@pytest.mark.parametrize("socket_class", [TlsSocket, PatientSocket])
def test_a_reset_before_the_handshake_is_an_error_and_leaves_no_socket(
    tmp_path: Path, socket_class: type[TlsSocket]
) -> None:
    context = tls_context(str(write_tls(tmp_path).ca), socket_class)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ConnectionResetError):
            context.wrap_socket(reset_before_handshake(), server_hostname="127.0.0.1")
        gc.collect()
    assert [str(each.message) for each in caught] == []


def test_the_standard_one_would_leave_it_to_the_collector(tmp_path: Path) -> None:
    """Once this fails, CPython closes it itself and TlsSocket can go."""
    context = ssl.create_default_context(cafile=str(write_tls(tmp_path).ca))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ConnectionResetError):
            context.wrap_socket(reset_before_handshake(), server_hostname="127.0.0.1")
        gc.collect()
    assert "unclosed" in str(caught[0].message)
