"""`redis-ha dashboard`: a page that shows the cluster, in a browser of this machine."""

import secrets
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from html import escape
from pathlib import Path

import click

from redis_ha.cli.cluster import stack_option, the_site
from redis_ha.cli.seconds import Seconds
from redis_ha.dashboard import page
from redis_ha.dashboard.looking import Watcher
from redis_ha.dashboard.server import DashboardServer, Served
from redis_ha.dashboard.view import About, state


@click.command("dashboard", short_help="Serve a page that shows the cluster, on this machine.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True,
              help="Where to listen; 0 for any free port.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--open", "in_browser", is_flag=True, help="Open the page in the browser.")
@click.option("--interval", type=Seconds(0.2, 60.0), default=1.0, show_default=True,
              help="Seconds from one look at the cluster to the next.")  # fmt: skip
@stack_option
def command(stack: str | None, *, port: int, host: str, in_browser: bool, interval: float) -> None:
    """Serve one page on 127.0.0.1 until ^C, and print its address.

    It shows the health with its reasons, the topology, lag and latency of the last 15 minutes,
    failovers that were seen, and which hour of the last week has a proven backup. The token in the
    address keeps other users of this machine out: whoever has the address sees the page. The
    same as JSON is at /state.json (docs/DASHBOARD.md).

    The cluster is looked at from now on, by one process, however many browsers are open.

    \b
    Examples:
      redis-ha dashboard --open
      redis-ha dashboard --port 8080 --interval 5 --stack dev
    """
    site = the_site(stack)
    about = About(site.operator.master_name, interval)
    watcher = Watcher(site, interval)
    served = Served(
        page.build(f"Redis cluster {about.cluster}"),
        lambda: state(watcher.known(), about, now=watcher.now()),
        secrets.token_urlsafe(24),
    )
    with DashboardServer(host, port, served) as server, watcher.watching():
        click.echo(f"dashboard of {about.cluster}: {server.url}")
        click.echo("^C ends it.", err=True)
        with _opened(server.url) if in_browser else nullcontext():
            server.serve_forever(poll_interval=0.2)


@contextmanager
def _opened(url: str) -> Iterator[None]:
    """Open a browser by way of a private file: every user may read a command line's token."""
    with tempfile.TemporaryDirectory(prefix="redis-ha-") as directory:
        path = Path(directory) / "open.html"
        path.write_text(f'<meta http-equiv="refresh" content="0; url={escape(url)}">')
        # A browser on a terminal ends only when it is left.
        threading.Thread(target=_browse, args=(path.as_uri(),), daemon=True).start()
        yield


def _browse(uri: str) -> None:
    if not webbrowser.open(uri):
        click.echo("no browser was found: open the address yourself", err=True)
