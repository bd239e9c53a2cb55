<?php

declare(strict_types=1);

namespace RedisHa\Laravel;

/** Time for waits and deadlines: it neither jumps nor runs back when the machine's clock is set. */
final class Clock
{
    /** Return seconds since some moment. */
    public static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
