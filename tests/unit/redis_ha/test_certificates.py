"""When a certificate ends: the least of its own chain, by the wire and by the files."""

import time
from datetime import timedelta
from pathlib import Path

import pytest

from redis_ha.connection import Address, valid_until
from redis_ha.serving import own_end, served
from tests.processes.cluster_files import Tls, write_tls

DAY = 86_400


def ends(tls: Tls) -> tuple[float, float]:
    """Give the days that are left, as a client sees it and by the files."""

    def nothing(_environ: object, _start: object) -> list[bytes]:
        return []

    serving = served(
        nothing, Address("127.0.0.1", 0), certificate=tls.certificate, private_key=tls.key
    )
    with serving as port:
        seen = valid_until(Address("127.0.0.1", port), ca=tls.ca, timeout=5)
    now = time.time()
    return (seen - now) / DAY, (own_end(tls.certificate, tls.key, ca=tls.ca) - now) / DAY


@pytest.mark.parametrize(
    ("own", "authority", "least"), [(9, 365, 9), (365, 9, 9), (-3, 365, -3), (365, -3, -3)]
)
def test_the_first_of_a_chain_to_end_counts(
    tmp_path: Path, own: int, authority: int, least: int
) -> None:
    tls = write_tls(tmp_path, ends_in=timedelta(days=own), ca_ends_in=timedelta(days=authority))
    assert ends(tls) == (pytest.approx(least, abs=0.1), pytest.approx(least, abs=0.1))


def test_a_certificate_that_is_renewed_on_disk_is_read_anew(tmp_path: Path) -> None:
    tls = write_tls(tmp_path, ends_in=timedelta(days=9))
    before = own_end(tls.certificate, tls.key, ca=tls.ca)
    time.sleep(0.02)
    write_tls(tmp_path, ends_in=timedelta(days=90))
    assert own_end(tls.certificate, tls.key, ca=tls.ca) - before == pytest.approx(81 * DAY, abs=60)


def test_what_its_clients_would_refuse_or_what_is_gone_is_an_error(tmp_path: Path) -> None:
    tls, other = write_tls(tmp_path / "a"), write_tls(tmp_path / "b", ca_ends_in=timedelta(days=7))
    with pytest.raises(OSError, match="verify failed"):
        own_end(tls.certificate, tls.key, ca=other.ca)
    tls.key.unlink()
    with pytest.raises(FileNotFoundError):
        own_end(tls.certificate, tls.key, ca=tls.ca)
