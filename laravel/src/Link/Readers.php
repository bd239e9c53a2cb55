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
    /** Seconds for which one that failed or didn't answer is left alone, by the next requests, too. */
    private const LEAVE_ALONE = 10.0;

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
        private readonly ?Memory $memory = null,
    ) {
        $this->freshness = new Freshness();
        $this->recall();
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
        $this->recall();
        $now = Clock::now();
        $this->shunned[(string) $address] = $now + self::LEAVE_ALONE;
        $left = array_map(static fn (float $until): float => $until - $now, $this->shunned);
        $this->memory?->keepSilent(array_filter($left, static fn (float $seconds): bool => $seconds > 0));
    }

    private function recall(): void
    {
        foreach ($this->memory?->silent(self::LEAVE_ALONE) ?? [] as $key => $seconds) {
            $this->shunned[$key] = max($this->shunned[$key] ?? 0.0, Clock::now() + $seconds);
        }
    }

    private function look(): void
    {
        $this->locator->meetReplicas();
        $master = $this->locator->known?->address;
        if ($master !== null) {
            // Before the replicas: else they would always seem to be behind under load.
            $view = $this->scout->askNode($master);
            $this->freshness->mark(Clock::now(), $view);
        }
        $this->usable = [];
        foreach ($this->locator->nodes as $key => $address) {
            $isLeftAlone = $address->is($master) || ($this->shunned[$key] ?? 0.0) > Clock::now();
            $at = $isLeftAlone ? null : $this->freshAt($address);
            if ($at !== null) {
                $this->usable[$key] = [$address, $at];
            }
        }
        $this->lookedAt = Clock::now();
    }

    private function freshAt(Address $address): ?float
    {
        $view = $this->scout->askNode($address);
        if ($view->role === null) {
            $this->shun($address);
        }

        return $this->freshness->freshAt($view);
    }
}
