#!/bin/sh
# Starts the stand-in language host in the project's virtual environment, which Pulumi.yaml names.
# The engine starts it in the project's directory with its own address as the last argument.
venv=$(sed -n 's/^.*virtualenv: *\([^ ,}]*\).*$/\1/p' Pulumi.yaml 2>/dev/null | head -n 1)
python="$venv/bin/python"
[ -x "$python" ] || python=python3
exec "$python" -u "$(dirname "$0")/language_host.py" "$@"
