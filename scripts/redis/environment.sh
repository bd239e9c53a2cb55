# shellcheck shell=sh
# Read by the scripts beside it: finds the cluster of this checkout, and its containers.
# $root is the checkout. Settings that are there already win over the checkout's own.

if [ -z "${REDIS_SENTINEL_HOST_1:-}" ] && [ -f "${root:?}/.redis-ha/env" ]; then
    # shellcheck source=/dev/null
    . "$root/.redis-ha/env"
fi
case :$PATH: in
    *:"$root/.venv/bin":*) ;;
    *) PATH=$root/.venv/bin:$PATH ;;
esac
export PATH

HEALTHY_SECONDS=120
# The worker's name tells what this stack's names begin with.
REDIS_HA_PREFIX=${REDIS_BACKUP_CONTAINER:-backup-worker}
REDIS_HA_PREFIX=${REDIS_HA_PREFIX%backup-worker}

# Whether one of the words is -h or --help: nothing else is done then.
asks_for_help() {
    for word in "$@"; do
        case $word in -h | --help) return ;; esac
    done
    return 1
}

need_cluster() {
    [ -n "${REDIS_SENTINEL_HOST_1:-}" ] && return
    echo "${0##*/}: there is no cluster yet; run scripts/redis/redis-ha-setup.sh setup" >&2
    exit 3
}

# The names of this cluster's containers in a state (running, exited), one a line.
members() {
    docker ps --all --filter "status=$1" --filter "network=${REDIS_HA_PREFIX}redis-ha" \
        --format '{{.Names}}' | sort
}

of_kind() {
    grep -E "^$REDIS_HA_PREFIX$1(-[0-9]+)?\$" || true
}

# Wait until each container named on standard input is healthy.
await_each() {
    while read -r container; do
        waited=0
        until [ "$(docker inspect -f '{{.State.Health.Status}}' "$container")" = healthy ]; do
            waited=$((waited + 1))
            if [ "$waited" -gt "$HEALTHY_SECONDS" ]; then
                echo "${0##*/}: $container is not healthy after $HEALTHY_SECONDS s;" \
                    "see docker logs $container" >&2
                exit 1
            fi
            sleep 1
        done
    done
}
