<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use RedisHa\Laravel\Clock;
use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Cluster\Freshness;
use RedisHa\Laravel\Cluster\NodeView;

/** Which replica serves a read: those fresh enough in turn, a failed one left alone for a while. */
final class Readers
{
    private const REFRESH = 1.0;
    private const LEAVE_ALONE = 2.0;

    private readonly Freshness $freshness;
    /** @var array<string, array{Address, float}> */
    private array $usable = [];
    /** @var array<string, float> */
    private array $shunned = [];
    private float $lookedAt = -INF;
    private int $turn = 0;

    public function __construct(
        private readonly Locator $locator,
        private readonly Scout $scout,
        private readonly float $maxLag,
    ) {
        $this->freshness = new Freshness();
    }

    /** Return the replica whose turn it is; null sends the read to the master. */
    public function next(): ?Address
    {
        $now = Clock::now();
        if ($now >= $this->lookedAt + self::REFRESH) {
            $this->look();
        }
        $fit = [];
        foreach ($this->usable as $key => [$address, $freshAt]) {
            if ($freshAt >= $now - $this->maxLag && ($this->shunned[$key] ?? 0.0) <= $now) {
                $fit[] = $address;
            }
        }

        return $fit === [] ? null : $fit[$this->turn++ % count($fit)];
    }

    /** Leave a replica that failed alone for a while. */
    public function shun(Address $address): void
    {
        $this->shunned[(string) $address] = Clock::now() + self::LEAVE_ALONE;
    }

    private function look(): void
    {
        if (count($this->locator->nodes) < 2) {
            $this->locator->sentinels();
        }
        $master = $this->locator->known?->address;
        if ($master !== null) {
            // Before the replicas: else they would always seem to be behind under load.
            $view = $this->scout->askNode($master);
            $this->freshness->mark(Clock::now(), $view);
        }
        $this->usable = [];
        foreach ($this->locator->nodes as $key => $address) {
            $at = $address->is($master) ? null : $this->freshAt($address);
            if ($at !== null) {
                $this->usable[$key] = [$address, $at];
            }
        }
        $this->lookedAt = Clock::now();
    }

    private function freshAt(Address $address): ?float
    {
        return $this->freshness->freshAt($this->scout->askNode($address));
    }
}
