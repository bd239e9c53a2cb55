"""`python -m toolchain.plugins.aws ENGINE_ADDRESS`."""

from toolchain.plugins.aws.plugin import PLUGIN
from toolchain.plugins.base.process import main

if __name__ == "__main__":
    main(PLUGIN)
