"""`python -m infra.costs [name=value ...]`: the cost sheet of Pulumi.prod.yaml's stack.

Words on the command line change settings, as `pulumi config set` would.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from infra.config import ClusterConfig
from infra.costs.sheet import cost_sheet, read_prices, render, usual_use
from infra.errors import InfraError
from infra.planner import make_plan
from infra.settings import parse
from infra.stack_file import read_stack_file

STACK_FILE = Path(__file__).resolve().parents[2] / "Pulumi.prod.yaml"


def main(words: Sequence[str]) -> int:
    """Print the sheet; 0 done, 1 the settings are refused."""
    changed = dict(word.partition("=")[::2] for word in words)
    try:
        config = make_plan(parse(ClusterConfig, {**read_stack_file(STACK_FILE), **changed})).config
    except InfraError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(render(cost_sheet(config, read_prices(), usual_use(config)), config))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
