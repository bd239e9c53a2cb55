#!/bin/sh
# Health check of a node: prints the supervisor's last word; fails when that isn't "ok ..." or is
# older than ten seconds. Cheap on purpose: it runs every few seconds.
set -eu
file="${REDIS_HA_HEALTH:-/run/redis-ha/health}"
if ! text="$(cat "$file" 2>/dev/null)"; then
    echo "no health file at $file: the node has not begun"
    exit 1
fi
age=$(($(date +%s) - $(stat -c %Y "$file")))
if [ "$age" -gt 10 ]; then
    echo "no news for $age s; the last was: $text"
    exit 1
fi
echo "$text"
case "$text" in
    "ok "*) exit 0 ;;
    *) exit 1 ;;
esac
