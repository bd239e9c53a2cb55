"""Stand-in for the official `docker` provider 5.1.0, over the Docker SDK for Python.

Networks, volumes, images and containers. What replaces, which values come from the daemon and
what is done in place follows terraform-provider-docker 3, which the official provider bridges.
"""
