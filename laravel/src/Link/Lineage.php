<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

/**
 * Notices a fork: parent and child would write into one TLS stream, and each would break it.
 *
 * The child leaves what it inherited alone and opens its own. It doesn't close it either, which would
 * end the parent's stream; PHP does so when the child ends, and the parent connects again.
 */
final class Lineage
{
    /** @var list<mixed> kept, so that they aren't closed */
    private static array $inherited = [];

    private int $pid;

    public function __construct()
    {
        $this->pid = (int) getmypid();
    }

    /** Say, once, whether this process is a child of the one that opened these; they stay open. */
    public function wasForked(mixed $connections): bool
    {
        $pid = (int) getmypid();
        if ($pid === $this->pid) {
            return false;
        }
        $this->pid = $pid;
        self::$inherited[] = $connections;

        return true;
    }
}
