<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use Redis;
use RedisException;
use RedisHa\Laravel\Clock;
use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Retry\Command;

/** A node with the connection to it. */
final class Seat
{
    /** Idle for so long (s), the server may have closed it (`timeout`), or be gone. */
    private const IDLE = 1.0;

    /** Given up: nothing that was said on it holds any more. */
    public bool $dropped = false;
    /** The database that it stands on. */
    private int $database;
    /** The one that phpredis takes it to stand on. */
    private int $told;
    private float $usedAt;

    public function __construct(
        public readonly Address $address,
        public readonly Redis $client,
        public readonly bool $replica = false,
        int $database = 0,
    ) {
        $this->database = $this->told = $database;
        $this->usedAt = Clock::now();
    }

    /** Change to a database, if it isn't the one that this stands on; throws RedisException. */
    public function stand(int $database): void
    {
        if ($database === $this->database) {
            return;
        }
        if ($this->client->select($database) !== true) {
            throw new RedisException($this->client->getLastError() ?? "ERR database {$database} can't be selected");
        }
        $this->database = $this->told = $database;
    }

    /** Note a command that was answered; return the database that it selected, null when none. */
    public function selected(Command $command, mixed $reply): ?int
    {
        // Of a SELECT between MULTI and EXEC phpredis tells; of a raw one it doesn't know.
        $told = $this->client->getDBNum();
        $selected = match (true) {
            $command->name === 'select' && $reply === true => (int) ($command->arguments[0] ?? 0),
            $command->name === 'exec' && $told !== $this->told => $told,
            default => null,
        };
        $this->told = $told;
        $this->database = $selected ?? $this->database;

        return $selected;
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
