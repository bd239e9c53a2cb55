"""The dashboard's page in a real browser: hostile names, small and large screens, both schemes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redis_ha.backup_report import BackupReport, Snapshot
from redis_ha.dashboard.known import Backups, Known, Look, Thorough, with_backups, with_look
from redis_ha.dashboard.page import build
from redis_ha.dashboard.server import DashboardServer, Served
from redis_ha.dashboard.view import About, state
from redis_ha.health import RoundTrip
from tests.processes.redis_ha.browser import Browser
from tests.unit.redis_ha.surveys import HEALTHY, B, dead, with_node, with_sentinel

CAUGHT = "document.title='caught'"
HOSTILE = f'<img src=x onerror="{CAUGHT}"></script><script>{CAUGHT}</script>'
NOW = time.time()
# For each line of text in a card: how far it stands out of it.
OVERHANG = """[...document.querySelectorAll('[data-card]')].flatMap(card => {
  const box = card.querySelector('rect').getBoundingClientRect();
  return [...card.querySelectorAll('text')].map(line => {
    const { right, bottom } = line.getBoundingClientRect();
    return Math.max(right - box.right, bottom - box.bottom);
  });
})"""
# The lowest contrast of a text in the page with what is behind it, and that text.
CONTRAST = """(() => {
  const light = c => c / 255 <= .03928 ? c / 255 / 12.92 : ((c / 255 + .055) / 1.055) ** 2.4;
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = colour => {
    const [r, g, b] = parts(colour).map(light);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = e => {
    const card = e.closest('[data-card]');
    if (card) return getComputedStyle(card.querySelector('rect')).fill;
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
  };
  const own = e => e instanceof SVGElement ? getComputedStyle(e).fill : getComputedStyle(e).color;
  let least = [99, ''];
  for (const e of document.querySelectorAll('body *')) {
    if (!['SCRIPT', 'STYLE', 'NOSCRIPT', 'TITLE', 'title'].includes(e.tagName)
      && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) {
      const [a, b] = [luminance(own(e)), luminance(behind(e))].sort((x, y) => y - x);
      const ratio = (a + .05) / (b + .05);
      if (ratio < least[0]) least = [ratio, e.outerHTML.slice(0, 120)];
    }
  }
  return least;
})()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser.start(tmp_path_factory.mktemp("profile")) as running:
        yield running


@contextmanager
def served(known: Known, clock: Callable[[], float] = lambda: NOW) -> Iterator[str]:
    """Serve what is known as the command does; give the address."""
    about = About("mymaster", 1.0)
    page = build("Redis cluster mymaster")
    source = Served(page, lambda: state(known, about, now=clock()), "t" * 32)
    with DashboardServer("127.0.0.1", 0, source) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.url
        server.shutdown()
        thread.join(5)


def after_a_crash() -> Known:
    """Build what is known seconds after redis-1 died and redis-2 was promoted."""
    survey = with_node(dead(HEALTHY, 0), 1, view_role="master", view_master=None)
    survey = with_node(survey, 2, view_master=B)
    for number in range(3):
        survey = with_sentinel(survey, number, view_master=B, epoch=3)
    known = Known(began=NOW - 600)
    for second in range(600, 0, -2):
        at, trip = NOW - second, RoundTrip(0.002 + second % 7 / 1000, by="redis-1")
        seen = survey if second <= 60 else HEALTHY
        if 60 < second <= 66:
            seen, trip = dead(HEALTHY, 0), RoundTrip(problem="a failover may be under way")
        known = with_look(known, Look(at, 0.02, seen, trip))
    kept = tuple(
        Snapshot(f"s{h}", NOW - 600 - h * 3600, ("proven", "not proven", "failed")[h % 9 % 3])
        for h in range(150)
        if h % 17
    )
    report = BackupReport(
        "s0", 600.0, 4200.0, running=True, interval=3600.0, role="working", follows=str(B)
    )
    known = with_backups(known, Backups(NOW - 5, report, kept))
    return replace(known, thorough=Thorough(survey, {}))


def hostile() -> Known:
    """Let everything that a cluster can say be HTML."""
    survey = replace(
        HEALTHY, names={address: f"{name}{HOSTILE}" for address, name in HEALTHY.names.items()}
    )
    survey = with_node(survey, 1, view_problem=HOSTILE)
    survey = with_node(dead(survey, 2), 2, view_problem=HOSTILE)
    failing = Look(NOW, 0.02, survey, RoundTrip(problem=HOSTILE))
    known = with_look(Known(began=NOW - 9, problems={"rights": HOSTILE}), failing)
    report = BackupReport(
        HOSTILE, 1.0, 1.0, running=True, troubles=(HOSTILE,), role=HOSTILE, follows=HOSTILE
    )
    listed = (Snapshot(HOSTILE, NOW - 60, HOSTILE, HOSTILE),)
    return with_backups(known, Backups(NOW, report, listed))


def opened(browser: Browser, url: str, **how: Any) -> None:
    browser.console.clear()
    browser.open(url, **how)
    browser.wait_for("document.querySelector('[data-card]')")


def test_whatever_the_cluster_says_is_text(browser: Browser) -> None:
    with served(hostile()) as url:
        opened(browser, url)
        assert "onerror" in browser.text("#reasons")
        assert "onerror" in browser.text("#headline")
        assert browser.ask("document.querySelectorAll('img, main script, [onerror]').length") == 0
        assert "onerror" in browser.ask("document.querySelector('#members').textContent")
        assert browser.ask("document.title").startswith("down")
        assert browser.console == []


def test_nothing_but_its_own_script_runs_in_the_page(browser: Browser) -> None:
    with served(after_a_crash()) as url:
        opened(browser, url)
        browser.ask(
            "new Promise(done => { const s = document.createElement('script');"
            " try { s.textContent = 'window.caught = 1'; document.body.append(s); } catch {}"
            " const i = new Image(); i.onload = i.onerror = done; i.src = '/x.png'; })"
        )
        assert browser.ask("window.caught") is None
        assert any("Content Security Policy" in text for text in browser.console)
        assert "blocked" in browser.ask(
            "fetch('http://127.0.0.1:1/').then(() => 'let out', () => 'blocked')"
        )


@pytest.mark.parametrize("width", [360, 390, 768, 1024, 1440, 1920])
def test_it_fits_every_screen(browser: Browser, width: int) -> None:
    for known in (after_a_crash(), hostile()):
        with served(known) as url:
            opened(browser, url, width=width, height=800)
            assert browser.ask("document.documentElement.scrollWidth") <= width
            assert max(browser.ask(OVERHANG)) <= 0, browser.ask(OVERHANG)


@pytest.mark.parametrize("width", [360, 390, 1920])
def test_members_keep_their_numbers_on_every_screen(browser: Browser, width: int) -> None:
    with served(after_a_crash()) as url:
        opened(browser, url, width=width)
        names = browser.ask("[...document.querySelectorAll('tspan.title')].map(e => e.textContent)")
        assert {"sentinel-1", "sentinel-2", "sentinel-3", "redis-1", "redis-2"} <= set(names)


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_can_be_read(browser: Browser, dark: bool) -> None:
    with served(after_a_crash()) as url:
        opened(browser, url, dark=dark)
        page = browser.ask("getComputedStyle(document.body).backgroundColor")
        assert (page == "rgb(255, 255, 255)") is not dark
        ratio, text = browser.ask(CONTRAST)
        assert ratio >= 4.5, text


def test_what_is_seen_is_also_said(browser: Browser) -> None:
    with served(after_a_crash()) as url:
        opened(browser, url)
        for picture in browser.ask(
            "[...document.querySelectorAll('svg:not([aria-hidden])')].map(e => e.ariaLabel)"
        ):
            assert picture
        hours = browser.ask("[...document.querySelectorAll('[data-hour]')].map(e => e.innerText)")
        assert len(hours) == 7 * 24
        assert all("UTC: " in hour for hour in hours)
        assert {"✓", "?", "✗", "–"} <= {hour[0] for hour in hours}  # noqa: RUF001
        assert browser.text("#spoken") == "degraded; a failover would work; master redis-2"


def test_a_reader_is_told_again_only_of_what_changed(browser: Browser) -> None:
    count = """window.told = {};
    for (const name of ['headline', 'spoken', 'warning']) {
      window.told[name] = 0;
      new MutationObserver(() => { window.told[name] += 1; }).observe(
        document.getElementById(name), { childList: true });
    }"""
    with served(after_a_crash(), clock=lambda: NOW + time.monotonic() - began) as url:
        began = time.monotonic()
        opened(browser, url)
        browser.ask(count)
        browser.wait_for("window.told.headline >= 2")
        assert browser.ask("[window.told.spoken, window.told.warning]") == [0, 0]


def test_a_window_that_changes_its_size_is_drawn_anew(browser: Browser) -> None:
    with served(after_a_crash()) as url:
        opened(browser, url, width=1440)
        browser.resize(700, 900)
        browser.wait_for("document.querySelector('#topology svg').clientWidth < 690")
        assert browser.ask("document.documentElement.scrollWidth") <= 700


def test_another_process_on_the_same_port_is_told_apart(browser: Browser, tmp_path: Path) -> None:
    known = after_a_crash()
    with served(known) as url:
        opened(browser, url)
        browser.ask("history.replaceState(null, '', '/?token=another')")
        browser.wait_for("document.body.className === 'stale'")
        assert "started anew" in browser.text("#warning")
