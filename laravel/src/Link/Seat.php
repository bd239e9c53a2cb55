<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use Redis;
use RedisHa\Laravel\Cluster\Address;

/** A node with the connection to it. */
final class Seat
{
    public function __construct(
        public readonly Address $address,
        public readonly Redis $client,
        public readonly bool $replica = false,
    ) {
    }
}
