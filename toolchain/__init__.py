"""Makes Docker, Pulumi, the Python environment and the base image available; the front door.

Everything but the language host, the plugins and `stack` is standard library only: it runs on
a plain python3 before any virtual environment exists.
"""
