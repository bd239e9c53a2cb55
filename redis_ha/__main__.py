"""Run `redis-ha` as `python -m redis_ha`."""

from redis_ha.cli import main

main()
