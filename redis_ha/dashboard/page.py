"""The page: one HTML document that loads nothing, and the policy that lets nothing else run."""

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template

_STYLES = ("page.css",)
_SCRIPTS = ("drawing.js", "topology.js", "lines.js", "page.js")


@dataclass(frozen=True)
class Page:
    """The document, and its content security policy."""

    html: bytes
    policy: str


def build(title: str) -> Page:
    """Put the page together from its parts."""
    style = "".join(map(_part, _STYLES))
    script = "".join(map(_part, _SCRIPTS))
    html = Template(_part("page.html")).substitute(title=escape(title), style=style, script=script)
    return Page(html.encode(), _policy(style, script))


def _part(name: str) -> str:
    return files("redis_ha.dashboard").joinpath(name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """Allow this very style and script, requests to ourselves, and nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
