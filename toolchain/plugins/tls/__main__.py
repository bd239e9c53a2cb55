"""`python -m toolchain.plugins.tls ENGINE_ADDRESS`."""

from toolchain.plugins.base.process import main
from toolchain.plugins.tls.plugin import PLUGIN

if __name__ == "__main__":
    main(PLUGIN)
