<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Cluster;

/** The master that a client last settled on, and the sentinels' epoch at that time. */
final class Known
{
    public function __construct(
        public readonly Address $address,
        public readonly string $replid,
        public readonly int $epoch = 0,
    ) {
    }
}
