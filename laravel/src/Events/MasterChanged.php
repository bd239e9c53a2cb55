<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Events;

/** A connection turned to another master; `seconds` went by since the trouble began. */
final class MasterChanged
{
    public function __construct(
        public readonly string $from,
        public readonly string $to,
        public readonly float $seconds,
    ) {
    }
}
