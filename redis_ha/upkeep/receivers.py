"""Whom an Alertmanager calls, by its configuration as `/api/v2/status` gives it. Pure.

It writes that configuration itself, in YAML of always the same form: a receiver begins with
`- name:`, its integrations are `webhook_configs:` and the like. Nothing else of YAML is read.
"""

import re

_SECTION = re.compile(r"([a-z_]+):")
_ROUTED = re.compile(r"[\s-]*receiver: (.+)")
_NAME = re.compile(r" {0,2}- name: (.+)")
_INTEGRATION = re.compile(r" {2,4}([a-z0-9]+)_configs:\s*$")


def called_by(config: str) -> tuple[str, ...]:
    """Name those that a route leads to and that reach somebody: `operator (webhook)`.

    A receiver without an integration takes alerts and tells nobody.
    """
    section = name = ""
    routed: set[str] = set()
    reaching: list[tuple[str, str]] = []
    for line in config.splitlines():
        if begun := _SECTION.match(line):
            section, name = begun[1], ""
        elif section == "route" and (found := _ROUTED.match(line)):
            routed.add(found[1])
        elif section == "receivers" and (found := _NAME.match(line)):
            name = found[1]
        elif section == "receivers" and (found := _INTEGRATION.match(line)):
            reaching.append((name, found[1]))
    return tuple(f"{name} ({kind})" for name, kind in reaching if name in routed)
