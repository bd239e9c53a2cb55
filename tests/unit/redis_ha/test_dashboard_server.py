"""Whom the dashboard answers, with what, and what its page may do."""

import base64
import hashlib
import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from redis_ha.cli.main import execute
from redis_ha.dashboard.page import build
from redis_ha.dashboard.server import DashboardServer, Served, answer, is_local
from redis_ha.errors import BadSetting

TOKEN = "t" * 32
LOCAL = "127.0.0.1:8080"
PAGE = build("Redis cluster <mymaster> & more")
SERVED = Served(PAGE, lambda: {"cluster": "</script>"}, TOKEN)


def got(target: str, *, host: str | None = LOCAL, method: str = "GET") -> int:
    return answer(method, target, host, SERVED).status


def test_the_page_and_its_state_are_for_who_has_the_token() -> None:
    for path in ("/", "/state.json"):
        assert got(f"{path}?token={TOKEN}") == 200
        for query in ("", "?token=", f"?token={TOKEN}x", f"?token={TOKEN[1:]}", "?token=%ff%00",
                      f"?other={TOKEN}"):  # fmt: skip
            assert got(path + query) == 403, path + query
    assert got(f"/else?token={TOKEN}") == 404
    assert got(f"/../state.json?token={TOKEN}") == 404
    # Who has no token doesn't learn what there is.
    assert got("/else") == 403


def test_a_state_is_json_whatever_it_says() -> None:
    found = answer("GET", f"/state.json?token={TOKEN}", LOCAL, SERVED)
    assert json.loads(found.body) == {"cluster": "</script>"}
    assert found.headers()["Content-Type"] == "application/json"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get"])
def test_only_get_and_head(method: str) -> None:
    found = answer(method, f"/?token={TOKEN}", LOCAL, SERVED)
    assert (found.status, found.headers()["Allow"]) == (405, "GET, HEAD")
    assert got(f"/?token={TOKEN}", method="HEAD") == 200


def test_a_name_that_somebody_else_may_give_this_machine_is_turned_away() -> None:
    for host in ("127.0.0.1", "localhost:9", "LOCALHOST:65535", "[::1]:8080", "[::1]"):
        assert is_local(host), host
    for host in (None, "", "evil.example", "evil.example:8080", "127.0.0.1.evil.example",
                 "localhost.evil.example:80", "127.0.0.1:80@evil", "127.0.0.1:", "127.0.0.1:1x",
                 "evil@127.0.0.1", "0.0.0.0", "127.0.0.2", "::1", "localhost\n", " localhost",
                 "127.0.0.1:٣"):  # fmt: skip
        assert not is_local(host), host
    assert got(f"/?token={TOKEN}", host="evil.example") == 421


@pytest.mark.parametrize("target", ["//[", "/?" + "&".join(f"a{n}=1" for n in range(20)), "*", ""])
def test_a_target_that_cannot_be_read_gets_nothing(target: str) -> None:
    assert got(target) in (400, 403)


def test_the_policy_lets_this_very_script_and_style_run_and_nothing_else() -> None:
    html = PAGE.html.decode()
    found = answer("GET", f"/?token={TOKEN}", LOCAL, SERVED).headers()
    policy = dict(part.split(" ", 1) for part in found["Content-Security-Policy"].split("; "))
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[rule] == f"'sha256-{digest}'"
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert found["Referrer-Policy"] == "no-referrer"
    assert found["Cache-Control"] == "no-store"


def test_the_page_loads_nothing_and_has_no_handlers_or_html_sinks() -> None:
    html = PAGE.html.decode()
    assert "Redis cluster &lt;mymaster&gt; &amp; more" in html
    assert not re.search(r"<[^>]+\s(on\w+|style|src)=", html)
    assert re.findall(r"\bhttps?://[^\"' ]+", html) == ["http://www.w3.org/2000/svg"]
    for sink in (
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Function(",
    ):
        assert sink not in html


def test_every_answer_has_the_guarding_headers() -> None:
    for target, host in ((f"/?token={TOKEN}", LOCAL), ("/", LOCAL), ("/", "evil.example")):
        headers = answer("GET", target, host, SERVED).headers()
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "localhost.evil", ""])
def test_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(BadSetting, match="loopback only"):
        DashboardServer(host, 0, SERVED)


def test_a_port_that_is_taken_is_named() -> None:
    with DashboardServer("127.0.0.1", 0, SERVED) as first:
        port = first.server_port
        with pytest.raises(BadSetting, match=f"127.0.0.1:{port}"):
            DashboardServer("127.0.0.1", port, SERVED)


@pytest.fixture
def server() -> Iterator[DashboardServer]:
    with DashboardServer("127.0.0.1", 0, SERVED) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join(5)


def test_over_the_wire(server: DashboardServer, capfd: pytest.CaptureFixture[str]) -> None:
    url = urlsplit(server.url)
    assert (url.scheme, url.hostname) == ("http", "127.0.0.1")
    answers = []
    for method, target, host in (
        ("GET", f"/?{url.query}", url.netloc), ("HEAD", f"/?{url.query}", url.netloc),
        ("GET", "/", url.netloc), ("GET", f"/?{url.query}", "evil.example"),
        ("POST", f"/?{url.query}", url.netloc),
    ):  # fmt: skip
        client = http.client.HTTPConnection(url.netloc, timeout=5)
        client.request(method, target, headers={"Host": host})
        reply = client.getresponse()
        answers.append((reply.status, len(reply.read())))
        assert "Python" not in reply.headers["Server"]
        client.close()
    assert [status for status, _ in answers] == [200, 200, 403, 421, 405]
    assert (answers[0][1], answers[1][1]) == (len(PAGE.html), 0)
    # Nothing was logged: the address of each request has the token.
    assert TOKEN not in "".join(capfd.readouterr())


def test_clients_that_send_garbage_or_nothing_keep_nobody_waiting(server: DashboardServer) -> None:
    address = server.server_address[:2]
    silent = [socket.create_connection(address) for _ in range(20)]
    for garbage in (b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000):
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(garbage)
    client = http.client.HTTPConnection(*map(str, address), timeout=5)
    client.request("GET", "/state.json?" + urlsplit(server.url).query)
    assert client.getresponse().status == 200
    for one in silent:
        one.close()


def test_wrong_use_is_told_before_anything_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["dashboard", "--port", "65536"]) == 2
    assert execute(["dashboard", "--interval", "0"]) == 2
