<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use Redis;
use RedisException;
use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Cluster\NodeView;

/** The connections that are open: one to the master, one to each replica that is read from. */
final class Seats
{
    private ?Seat $master = null;
    /** @var array<string, Seat> */
    private array $replicas = [];
    private readonly Lineage $lineage;

    public function __construct(
        private readonly Dialer $dialer,
        private readonly Locator $locator,
        private readonly Readers $readers,
    ) {
        $this->lineage = new Lineage();
    }

    /** Return a connection to the master, which it says it is; throws RedisException. */
    public function master(float $deadline): Seat
    {
        $this->leaveTheParents();
        if ($this->master !== null) {
            return $this->awake($this->master);
        }
        $known = $this->locator->known ?? $this->locator->find($deadline);
        $client = $this->dialer->forApplication($known->address);
        $view = self::ask($known->address, $client);
        if (! $view->isMaster() || $view->replid !== $known->replid) {
            $client->close();
            throw new RedisException("{$known->address} is no longer the master");
        }

        return $this->master = new Seat($known->address, $client, database: $this->dialer->database());
    }

    /** Return a connection to a replica that is fresh enough, else to the master. */
    public function reader(float $deadline): Seat
    {
        $master = $this->master($deadline);
        $address = $this->readers->next();
        if ($address === null) {
            return $master;
        }
        try {
            return $this->replicas[(string) $address]
                ??= new Seat($address, $this->dialer->forApplication($address), true, $this->dialer->database());
        } catch (RedisException) {
            $this->readers->shun($address);

            return $master;
        }
    }

    /** Give up a connection on which something went wrong: what it would answer next is unknown. */
    public function drop(Seat $seat): void
    {
        $seat->dropped = true;
        if ($seat->replica) {
            unset($this->replicas[(string) $seat->address]);
            $this->readers->shun($seat->address);
        } else {
            $this->master = null;
        }
        try {
            $seat->client->close();
        } catch (RedisException) {
            // It is gone already.
        }
    }

    /** Close all. */
    public function close(): void
    {
        foreach (array_filter([...array_values($this->replicas), $this->master]) as $seat) {
            $this->drop($seat);
        }
        $this->replicas = [];
        $this->master = null;
    }

    private function awake(Seat $seat): Seat
    {
        try {
            $seat->wake();
        } catch (RedisException $error) {
            $this->drop($seat);
            throw $error;
        }

        return $seat;
    }

    private function leaveTheParents(): void
    {
        if ($this->lineage->wasForked([$this->master, $this->replicas])) {
            $this->master = null;
            $this->replicas = [];
        }
    }

    private static function ask(Address $address, Redis $client): NodeView
    {
        $info = $client->rawCommand('INFO', 'replication');

        return NodeView::parse($address, is_string($info) ? $info : '');
    }
}
