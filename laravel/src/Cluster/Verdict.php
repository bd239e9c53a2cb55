<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Cluster;

/** The node to write to, or null, and why. */
final class Verdict
{
    public function __construct(public readonly ?Known $master, public readonly string $reason)
    {
    }
}
