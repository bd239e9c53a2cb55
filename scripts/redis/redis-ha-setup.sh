#!/bin/sh
# The cluster of this checkout: set up, stop, restart, look at, scale, back up, restore, fail over.
# Thin over `make up`, `redis-ha` and `backup-worker`, which have more to offer.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/scripts/redis/environment.sh"
# A master that stops hands over first.
STOP_SECONDS=30

usage() {
    cat <<EOF
Usage: ${0##*/} COMMAND

  setup [NAME=VALUE...]  make the cluster, or bring it to these settings
  stop                   stop every container; data and settings stay
  restart                start what is stopped; restart the rest one by one, without an outage
  status                 who is master, who follows, whom the sentinels name
  scale N                N replicas
  backup [PATH]          take a snapshot; with PATH also write it there, as files or as FILE.rdb
  restore PATH           put data back: a snapshot's id, latest, or an RDB file
  failover               hand the mastership over without losing a write

What follows status, restore and failover is passed on; see redis-ha --help, backup-worker --help.
EOF
}

fail() {
    echo "${0##*/}: $1" >&2
    exit "${2:-1}"
}

# Refuse what follows a command that takes at most $1 words: it would be done without them.
at_most() {
    most=$1
    shift
    [ $# -le "$most" ] || fail "$command takes $most words, not $#: $*; see ${0##*/} --help" 2
}

setup() {
    for word in "$@"; do
        case $word in [A-Za-z]*=*) ;; *) fail "setup takes NAME=VALUE, not $word" 2 ;; esac
    done
    make --no-print-directory -C "$root" up SET="$*"
}

# Nothing fails over while all of it stops: the sentinels go before the nodes. Those who watch go
# first: nobody is to be called for it.
stop() {
    need_cluster
    containers=$(members running)
    [ -n "$containers" ] || { echo "nothing runs"; return; }
    for kind in prometheus alertmanager ha-exporter redis-exporter backup-worker sentinel redis; do
        named=$(echo "$containers" | of_kind "$kind")
        [ -z "$named" ] || echo "$named" | xargs docker stop --time "$STOP_SECONDS" >/dev/null
    done
    echo "stopped: $(echo "$containers" | tr '\n' ' ')"
}

# The nodes named, in the order to restart them: the master hands over first, and by then to a node
# that will not be restarted any more.
master_last() {
    masters=$(redis-ha status | awk -F'\t' '$4 == "master" { print $2 }')
    [ "$(echo "$masters" | wc -w)" -eq 1 ] || no_order "$(echo "$masters" | wc -w) nodes are master"
    master=$REDIS_HA_PREFIX$masters
    members running | grep -qxF "$master" || no_order "no container $master of the master runs here"
    echo "$1" | grep -vxF "$master" || true
    echo "$1" | grep -xF "$master" || true
}

no_order() {
    fail "restart: $1, so nothing that ran was restarted; see redis-ha status and redis-ha doctor"
}

restart() {
    need_cluster
    running=$(members running)
    stopped=$(members exited)
    if [ -n "$stopped" ]; then
        echo "$stopped" | xargs docker start >/dev/null
        echo "$stopped" | await_each
        echo "started: $(echo "$stopped" | tr '\n' ' ')"
    fi
    nodes=$(echo "$running" | of_kind redis)
    [ -z "$nodes" ] || nodes=$(master_last "$nodes")
    for container in $(echo "$running" | of_kind sentinel) $nodes \
        $(echo "$running" | of_kind backup-worker); do
        docker restart --time "$STOP_SECONDS" "$container" >/dev/null
        echo "$container" | await_each
        echo "restarted: $container"
    done
}

backup() {
    case ${1:-} in -*) fail "backup to which path? $1 is none" 2 ;; esac
    backup-worker snapshot
    [ $# -eq 0 ] || backup-worker restore latest --output "$1"
}

restore() {
    [ $# -gt 0 ] || fail "restore what? A snapshot's id, latest, or an RDB file" 2
    if [ -f "$1" ]; then
        set -- --from "$@"
    else
        # A snapshot's id has neither.
        case $1 in -*) ;; */* | *.rdb) fail "restore: there is no file $1" 2 ;; esac
    fi
    backup-worker restore "$@"
}

command=${1:-}
[ $# -eq 0 ] || shift
if asks_for_help "$@"; then
    usage
    exit
fi
case $command in
    setup) setup "$@" ;;
    stop) at_most 0 "$@"; stop ;;
    restart) at_most 0 "$@"; restart ;;
    status) redis-ha status "$@" ;;
    scale)
        case ${1:-} in '' | *[!0-9]*) fail "scale to how many replicas?" 2 ;; esac
        at_most 1 "$@"
        setup "replicas=$1"
        ;;
    backup) at_most 1 "$@"; backup "$@" ;;
    restore) restore "$@" ;;
    failover) redis-ha failover "$@" ;;
    -h | --help | help) usage ;;
    '') usage >&2; exit 2 ;;
    *) fail "no such command: $command; see ${0##*/} --help" 2 ;;
esac
