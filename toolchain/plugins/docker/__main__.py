"""`python -m toolchain.plugins.docker ENGINE_ADDRESS`."""

from toolchain.plugins.base.process import main
from toolchain.plugins.docker.plugin import PLUGIN

if __name__ == "__main__":
    main(PLUGIN)
