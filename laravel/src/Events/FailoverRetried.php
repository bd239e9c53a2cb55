<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Events;

/** A call that was refused or lost its connection is made again. */
final class FailoverRetried
{
    public function __construct(
        public readonly string $node,
        public readonly string $meaning,
        public readonly string $error,
        public readonly int $attempt,
    ) {
    }
}
