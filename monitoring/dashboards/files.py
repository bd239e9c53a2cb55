"""The three files and their text."""

import json
from pathlib import Path

from monitoring.dashboards import backup, node, overview
from monitoring.dashboards.layout import dashboard

FOLDER = Path(__file__).parents[1] / "grafana"


def written() -> dict[str, str]:
    """Map each file's name to its text."""
    sources = (overview.DASHBOARD, node.DASHBOARD, backup.DASHBOARD)
    return {
        f"{source.name}.json": json.dumps(dashboard(source, sources), indent=2) + "\n"
        for source in sources
    }
