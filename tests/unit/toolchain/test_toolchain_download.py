"""Downloads from a site of our own on 127.0.0.1, in place of Pulumi's."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from toolchain import download_site
from toolchain.errors import ToolchainError

ARCHIVE = "pulumi-v3.259.0-linux-x64.tar.gz"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    served = tmp_path / "site"
    (served / "releases" / "sdk").mkdir(parents=True)
    (served / "v3.259.0").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(download_site, "SITE", url)
        monkeypatch.setattr(download_site, "RELEASES", url)
        monkeypatch.delenv("REDIS_HA_OFFLINE", raising=False)
        download_site.reachable.cache_clear()
        yield served
        server.shutdown()
    download_site.reachable.cache_clear()


def publish(site: Path, *, digest: str | None) -> bytes:
    content = b"an archive" * 1000
    (site / "releases" / "sdk" / ARCHIVE).write_bytes(content)
    if digest is not None:
        sums = site / "v3.259.0" / "pulumi-3.259.0-checksums.txt"
        sums.write_text(f"{digest or hashlib.sha256(content).hexdigest()}  {ARCHIVE}\n")
    return content


def test_an_archive_with_the_published_digest_is_taken(site: Path, tmp_path: Path) -> None:
    content = publish(site, digest="")
    assert download_site.fetch_archive("3.259.0", ARCHIVE, tmp_path / "got") is True
    assert (tmp_path / "got").read_bytes() == content


def test_without_a_published_digest_the_caller_is_told(site: Path, tmp_path: Path) -> None:
    publish(site, digest=None)
    assert download_site.fetch_archive("3.259.0", ARCHIVE, tmp_path / "got") is False


def test_another_digest_than_the_published_one_is_an_error(site: Path, tmp_path: Path) -> None:
    publish(site, digest="0" * 64)
    with pytest.raises(ToolchainError, match=r"its SHA-256 is .* the release says 0000"):
        download_site.fetch_archive("3.259.0", ARCHIVE, tmp_path / "got")


def test_a_missing_archive_is_an_error_with_the_way_out(site: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"404.*REDIS_HA_OFFLINE=1"):
        download_site.fetch_archive("3.259.0", ARCHIVE, tmp_path / "got")


def test_a_site_that_answers_is_reachable(site: Path) -> None:
    assert download_site.reachable()


def test_a_refused_connection_is_a_quick_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_site, "SITE", "http://127.0.0.1:18099")
    download_site.reachable.cache_clear()
    try:
        assert not download_site.reachable()
    finally:
        download_site.reachable.cache_clear()


def test_offline_is_believed_without_asking(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HA_OFFLINE", "1")
    assert not download_site.reachable()
