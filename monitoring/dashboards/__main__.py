"""Writes the dashboards' JSON into monitoring/grafana, or elsewhere: a folder as argument."""

import sys
from pathlib import Path

from monitoring.dashboards.files import FOLDER, written


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for name, text in written().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
