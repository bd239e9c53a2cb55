#!/bin/sh
# Written by `redis-ha compose`. Brings what runs to what this folder says, one container after
# another, each when the one before is healthy: `docker compose` would take down all that change at
# once. It can be ended and run again at any time.
set -eu
cd "$(dirname "$0")"
file=docker-compose.redis-ha.yml

fail() {
    echo "roll.sh: $1" >&2
    exit 1
}

if docker compose version >/dev/null 2>&1; then
    compose() { docker compose -f "$file" "$@"; }
elif command -v docker-compose >/dev/null; then
    compose() { docker-compose -f "$file" "$@"; }
else
    fail "neither 'docker compose' nor docker-compose is here"
fi

# No other run may change the files meanwhile.
exec 9>.lock
if command -v flock >/dev/null; then
    flock -n 9 || fail "another run is at work in this folder"
fi

there() {
    found=$(docker ps --all --quiet --filter "name=^$1\$") || fail "docker doesn't answer"
    [ -n "$found" ]
}

healthy() {
    state=$(docker inspect --format '{{.State.Running}} {{.State.Health.Status}}' "$1" 2>&1) || :
    [ "$state" = "true healthy" ]
}

# becomes_healthy CONTAINER SECONDS: wait for it.
becomes_healthy() {
    left=$2
    until healthy "$1"; do
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        sleep 1
    done
}

# leave NODE CONTAINER SECONDS OTHERS...: a master hands over within the seconds that it has to
# stop. Its volumes stay. The others hold all data where they are healthy, which is in sync.
leave() {
    node=$1 container=$2 seconds=$3
    shift 3
    if there "$container"; then
        for other in "$@"; do
            becomes_healthy "$other" "$seconds" ||
                fail "$node stays: it may hold what $other, not healthy, doesn't"
        done
        echo "roll.sh: $node leaves"
        docker stop -t "$seconds" "$container" >/dev/null
        docker rm "$container" >/dev/null
    fi
    rm -rf "nodes/$node"
}

# roll NODE CONTAINER SECONDS: replaced where something of it has changed, and waited for.
roll() {
    compose up -d --no-deps "$1" </dev/null || fail "$1 was not brought up"
    becomes_healthy "$2" "$3" ||
        fail "$1 isn't healthy: see docker logs $2, then run this again"
    sweep "$1" "$2"
}

# Remove files of before, which no container has any more.
sweep() {
    used=$(docker inspect --format '{{index .Config.Labels "redis-ha.files"}}' "$2")
    for each in "nodes/$1"/*; do
        [ "${each##*/}" = "$used" ] || grep -qF "./$each:" "$file" || rm -rf "$each"
    done
}

