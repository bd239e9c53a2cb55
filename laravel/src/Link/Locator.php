<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use RedisHa\Laravel\Clock;
use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Cluster\Evidence;
use RedisHa\Laravel\Cluster\Known;
use RedisHa\Laravel\Cluster\Mastership;
use RedisHa\Laravel\Cluster\NodeView;
use RedisHa\Laravel\Cluster\SentinelView;
use RedisHa\Laravel\Errors\BadSetting;
use RedisHa\Laravel\Errors\NoMaster;
use RedisHa\Laravel\Settings;

/** Finds the master: asks data nodes and sentinels every 50 ms until Mastership settles. */
final class Locator
{
    private const ROUND_MICROSECONDS = 50_000;

    public ?Known $known = null;
    /** @var array<string, Address> all data nodes that somebody named */
    public array $nodes = [];

    public function __construct(
        private readonly Settings $settings,
        private readonly Scout $scout,
        private readonly ?Memory $memory = null,
    ) {
        $this->known = $memory?->recall();
        if ($this->known !== null) {
            foreach ([$this->known->address, ...$memory->nodes()] as $address) {
                $this->nodes[(string) $address] = $address;
            }
        }
    }

    /** Return the master; throws NoMaster, BadSetting, AccessDenied. */
    public function find(float $deadline): Known
    {
        $began = Clock::now();
        while (true) {
            // After a switchover the nodes alone tell, sooner than the sentinels.
            $verdict = $this->known === null ? null : Mastership::decide($this->known, $this->evidence([]));
            $sentinels = $verdict?->master === null ? $this->sentinels() : [];
            $verdict = $sentinels === [] ? $verdict : Mastership::decide($this->known, $this->evidence($sentinels));
            if ($verdict?->master !== null) {
                $this->known = $verdict->master;
                $this->remember();

                return $this->known;
            }
            $this->refuseIfHopeless($sentinels, Clock::now() - $began);
            if (Clock::now() >= $deadline) {
                $this->memory?->forget();
                $this->known = null;
                throw $this->notFound($verdict->reason ?? '');
            }
            usleep(self::ROUND_MICROSECONDS);
        }
    }

    /** See to it that more nodes than the master are known. */
    public function meetReplicas(): void
    {
        if (count($this->nodes) < 2) {
            $this->sentinels();
            $this->remember();
        }
    }

    /** @return list<SentinelView> */
    public function sentinels(): array
    {
        $views = array_map($this->scout->askSentinel(...), $this->settings->sentinels);
        foreach ($views as $view) {
            foreach (array_filter([$view->master, ...$view->replicas]) as $address) {
                $this->nodes[(string) $address] = $address;
            }
        }

        return $views;
    }

    /** @return list<NodeView> */
    public function nodes(): array
    {
        return array_values(array_map($this->scout->askNode(...), $this->nodes));
    }

    private function remember(): void
    {
        if ($this->known !== null) {
            $this->memory?->keep($this->known, array_values($this->nodes));
        }
    }

    /** @param list<SentinelView> $sentinels */
    private function evidence(array $sentinels): Evidence
    {
        $unheard = static fn (Address $a): SentinelView => new SentinelView($a, problem: 'not heard yet');
        $complete = $sentinels !== [];

        return new Evidence(
            $complete ? $sentinels : array_map($unheard, $this->settings->sentinels),
            $this->nodes(),
            $complete,
        );
    }

    /**
     * Throw when waiting can't help: refused everywhere, a name that nobody knows, nobody there.
     *
     * @param list<SentinelView> $sentinels
     */
    private function refuseIfHopeless(array $sentinels, float $waited): void
    {
        $denial = $this->scout->denial($this->settings->sentinels)
            ?? ($this->nodes === [] ? null : $this->scout->denial(array_values($this->nodes)));
        if ($denial !== null) {
            throw $denial;
        }
        $answers = array_filter($sentinels, static fn (SentinelView $v): bool => $v->master !== null);
        if ($answers !== [] || $this->known !== null || $sentinels === []) {
            return;
        }
        $problems = array_map(static fn (SentinelView $v): string => $v->problem, $sentinels);
        if (in_array(SentinelView::UNKNOWN_NAME, $problems, true)) {
            throw new BadSetting(
                'find master',
                'REDIS_SENTINEL_MASTER',
                "the sentinels know no master called '{$this->settings->masterName}'",
                'set the name that `sentinel monitor` has in sentinel.conf',
            );
        }
        if ($waited >= $this->settings->connectTimeout / 2) {
            throw $this->nobodyThere($problems);
        }
    }

    /** @param list<string> $problems */
    private function nobodyThere(array $problems): NoMaster
    {
        $addresses = implode(', ', $this->settings->sentinels);

        return new NoMaster(
            'find master',
            "REDIS_SENTINEL_HOST_1.. ({$addresses})",
            'no sentinel answers: ' . lcfirst(implode('; ', array_unique($problems))),
            'check REDIS_SENTINEL_HOST_n and REDIS_SENTINEL_PORT_n, and that the sentinels run',
        );
    }

    private function notFound(string $reason): NoMaster
    {
        return new NoMaster(
            'find the master of',
            $this->settings->masterName,
            $reason,
            'see `php artisan redis:ha status`; a failover may be under way',
        );
    }
}
