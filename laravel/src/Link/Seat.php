<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use Redis;
use RedisHa\Laravel\Clock;
use RedisHa\Laravel\Cluster\Address;

/** A node with the connection to it. */
final class Seat
{
    /** Idle for so long (s), the server may have closed it (`timeout`), or be gone. */
    private const IDLE = 1.0;

    /** Given up: nothing that was said on it holds any more. */
    public bool $dropped = false;
    private float $usedAt;

    public function __construct(
        public readonly Address $address,
        public readonly Redis $client,
        public readonly bool $replica = false,
    ) {
        $this->usedAt = Clock::now();
    }

    /**
     * Note a use, after a long time with a question to the server; throws RedisException.
     *
     * A write into a connection that was closed meanwhile could not be told from one that was
     * applied: the question can.
     */
    public function wake(): void
    {
        $now = Clock::now();
        if ($now > $this->usedAt + self::IDLE) {
            $this->client->rawCommand('PING');
        }
        $this->usedAt = $now;
    }
}
