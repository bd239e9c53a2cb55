"""`python -m toolchain.plugins.random ENGINE_ADDRESS`."""

from toolchain.plugins.base.process import main
from toolchain.plugins.random.plugin import PLUGIN

if __name__ == "__main__":
    main(PLUGIN)
