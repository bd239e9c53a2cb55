<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Cluster;

/** Where a node or a sentinel listens. */
final class Address
{
    public function __construct(public readonly string $host, public readonly int $port)
    {
    }

    public function __toString(): string
    {
        return "{$this->host}:{$this->port}";
    }

    public function is(?self $other): bool
    {
        return $other !== null && (string) $this === (string) $other;
    }
}
