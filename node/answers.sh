#!/bin/bash
# Health check of a program that speaks HTTP: fails unless a page answers 200. Usage:
# redis-ha-answers http|https HOST PORT PATH. Cheap on purpose (no interpreter is started): it runs
# every few seconds. https trusts our CA alone.
set -euo pipefail
scheme="$1" host="$2" port="$3" path="$4"

ask() {
    printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$path" "$host"
}

over_tls() {
    ask | openssl s_client -quiet -verify_return_error -verify_ip "$host" \
        -CAfile /etc/redis-ha/tls/ca.crt -connect "$host:$port" 2>/dev/null
}

in_clear() {
    exec 3<>"/dev/tcp/$host/$port"
    ask >&3
    cat <&3
}

case "$scheme" in
    https) answer="$(over_tls)" || true ;;
    *) answer="$(in_clear 2>/dev/null)" || true ;;
esac
status="${answer%%$'\r'*}"
echo "$scheme://$host:$port$path: ${status:-no answer}"
case "$status" in
    "HTTP/1."?" 200"*) exit 0 ;;
    *) exit 1 ;;
esac
