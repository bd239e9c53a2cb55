"""The command `redis-ha-node`: run a data node, a sentinel or a witness in the foreground."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from node.data import run_data_node
from node.errors import NodeError
from node.sentinel import run_sentinel
from node.settings import load_settings
from node.witness import run_witness

_ROLES = {"data": run_data_node, "sentinel": run_sentinel, "witness": run_witness}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run; 0 stopped in order, 1 server died, 2 can't be configured."""
    parser = argparse.ArgumentParser(prog="redis-ha-node", description=__doc__)
    parser.add_argument("role", choices=sorted(_ROLES))
    parser.add_argument("--config", type=Path, default=Path("/etc/redis-ha/node.json"))
    chosen = parser.parse_args(arguments)
    # Data, passwords and snapshots are nobody else's business; the servers inherit it.
    os.umask(0o077)
    try:
        return _ROLES[chosen.role](load_settings(chosen.config))
    except (NodeError, OSError) as error:
        sys.stderr.write(f"redis-ha-node: {error}\n")
        return 2
