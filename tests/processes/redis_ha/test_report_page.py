"""The report in a real browser: no console errors, the marks are there, it fits a small screen."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from redis_ha.failover_test.expectation import LiveSettings
from redis_ha.failover_test.records import LostWrite, StaleRead
from redis_ha.failover_test.report import Circumstances, render
from redis_ha.failover_test.summary import judged
from tests.unit.redis_ha.failover_test.runs import FAULT, crash

SETTINGS = LiveSettings(down_after=2.0, min_replicas=1, max_lag=1.0)
PROBE = """<script>
const box = e => { const b = e.getBoundingClientRect(); return [b.x, b.width, b.height]; };
const found = {
  width: document.documentElement.scrollWidth, window: window.innerWidth,
  marks: [...document.querySelectorAll("[data-mark]")].map(e => e.dataset.mark),
  gaps: Object.fromEntries([...document.querySelectorAll("[data-gap]")].map(
    e => [e.dataset.gap, box(e)])),
  page: getComputedStyle(document.body).backgroundColor,
  master: getComputedStyle(document.querySelector(".state-master")).fill,
};
document.title = JSON.stringify(found);
</script>"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    run = crash(lost=[LostWrite("redis-py", 0, 1, FAULT - 0.1)])
    stale = replace(run.clients[0], stale=(StaleRead(103.0, 0.2),))
    about = Circumstances("mymaster", datetime.now(UTC), SETTINGS, {"Redis": "8.0.2"})
    runs = [judged(replace(run, clients=(stale, run.clients[1])), SETTINGS)]
    path = tmp_path / "report.html"
    path.write_text(render(runs, about))
    return path


def browse(page: Path, *options: str) -> tuple[str, list[str]]:
    """Open a page; return its DOM and what it said on the console."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    assert browser, "chromium is missing: `python3 -m toolchain test-tools` installs it"
    done = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *(f"--user-data-dir={page.parent / 'profile'}", *options),
            *("--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def measured(page: Path, *options: str) -> dict[str, Any]:
    probe = page.with_name("probe.html")
    probe.write_text(page.read_text().replace("</body>", PROBE + "</body>"))
    dom, console = browse(probe, *options)
    assert console == []
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title is not None
    found: dict[str, Any] = json.loads(title[1])
    return found


def test_the_page_opens_without_a_word_on_the_console(report: Path) -> None:
    dom, console = browse(report)
    assert console == []
    assert "Failover test of mymaster" in dom


def test_a_word_on_the_console_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<script>console.error('broken')</script>")
    _, console = browse(page)
    assert len(console) == 1


def test_the_picture_is_drawn_to_scale(report: Path) -> None:
    found = measured(report, "--window-size=1200,900")
    assert found["marks"] == ["fault begins", "promoted", "healed", "healthy"]
    ours, stock = found["gaps"]["redis-ha"], found["gaps"]["redis-py"]
    assert ours[1] / stock[1] == pytest.approx(2.2 / 3.0, rel=0.02)
    assert ours[2] > 20


def test_a_small_screen_scrolls_the_picture_and_not_the_page(report: Path) -> None:
    found = measured(report, "--window-size=500,900")
    assert found["width"] <= found["window"]


def test_dark_and_light_differ(report: Path) -> None:
    light = measured(report, "--blink-settings=preferredColorScheme=1")
    dark = measured(report, "--blink-settings=preferredColorScheme=0")
    assert light["page"] == "rgb(255, 255, 255)"
    assert dark["page"] != light["page"]
    assert dark["master"] != light["master"]
