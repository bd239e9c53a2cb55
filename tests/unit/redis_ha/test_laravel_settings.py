"""`redis-ha env --laravel`: what a Laravel application's .env gets."""

from redis_ha.cli.env import dotenv_lines, laravel_settings

STACK = {
    "REDIS_SENTINEL_MASTER": "mymaster",
    "REDIS_SENTINEL_HOST_1": "172.28.0.21",
    "REDIS_SENTINEL_PORT_1": "26379",
    "REDIS_USERNAME": "app",
    "REDIS_PASSWORD": "secret",
    "REDIS_TLS_CA": "/srv/ca.crt",
    "REDIS_OPERATOR_PASSWORD": "the operator's",
    "REDIS_NODE_NAME_1": "redis-1",
    "REDIS_WITNESS": "true",
}


def test_the_application_gets_its_own_settings_and_sentinel_is_switched_on() -> None:
    kept = laravel_settings(STACK)
    assert kept.pop("REDIS_CLIENT") == "phpredis"
    assert kept.pop("REDIS_SENTINEL_ENABLED") == "true"
    assert sorted(kept) == [
        "REDIS_PASSWORD",
        "REDIS_SENTINEL_HOST_1",
        "REDIS_SENTINEL_MASTER",
        "REDIS_SENTINEL_PORT_1",
        "REDIS_TLS_CA",
        "REDIS_USERNAME",
    ]


def test_values_are_quoted_as_phpdotenv_reads_them() -> None:
    lines = dotenv_lines({"PLAIN": "10.0.0.1:6379", "ODD": 'a b#$c"\\d'})
    assert lines == 'PLAIN=10.0.0.1:6379\nODD="a b#\\$c\\"\\\\d"\n'
