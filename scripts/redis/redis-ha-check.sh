#!/bin/sh
# The cluster of this checkout: is it well, how does it do over time, what does a failover cost.
# Thin over `redis-ha`, which has more to offer.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/scripts/redis/environment.sh"

usage() {
    cat <<EOF
Usage: ${0##*/} COMMAND

  check          is it healthy, and would a failover work now? Exit code 0: both
  monitor        a line every five seconds, until ^C
  failover-test  hurt the master on purpose and count what it costs; asks first

What follows is passed on; see redis-ha --help.
EOF
}

# Both answers are shown; the worse one is the exit code.
check() {
    code=0
    redis-ha health "$@" || code=$?
    ready=0
    redis-ha ready "$@" || ready=$?
    [ "$ready" -le "$code" ] || code=$ready
    return "$code"
}

command=${1:-}
[ $# -eq 0 ] || shift
if asks_for_help "$@"; then
    usage
    exit
fi
case $command in
    check) check "$@" ;;
    monitor) redis-ha monitor "$@" ;;
    failover-test) redis-ha failover-test "$@" ;;
    -h | --help | help) usage ;;
    '') usage >&2; exit 2 ;;
    *)
        echo "${0##*/}: no such command: $command; see ${0##*/} --help" >&2
        exit 2
        ;;
esac
