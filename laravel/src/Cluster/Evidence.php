<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Cluster;

/** What was answered so far; `complete` once every sentinel was heard or found silent. */
final class Evidence
{
    /**
     * @param list<SentinelView> $sentinels one for each that is configured
     * @param list<NodeView> $nodes
     */
    public function __construct(
        public readonly array $sentinels,
        public readonly array $nodes,
        public readonly bool $complete = true,
    ) {
    }

    /** Return what a node said, null when it wasn't heard yet. */
    public function node(?Address $address): ?NodeView
    {
        foreach ($this->nodes as $view) {
            if ($view->address->is($address)) {
                return $view;
            }
        }

        return null;
    }

    /** Return the highest epoch in which a sentinel names this master. */
    public function epochOf(Address $address): int
    {
        $epochs = [0];
        foreach ($this->sentinels as $view) {
            if ($address->is($view->master)) {
                $epochs[] = $view->epoch;
            }
        }

        return max($epochs);
    }

    public function highestEpoch(): int
    {
        return max([0, ...array_map(static fn (SentinelView $v): int => $v->epoch, $this->sentinels)]);
    }

    /** Return the address that more than half of all configured sentinels name, or null. */
    public function majority(): ?Address
    {
        $votes = [];
        foreach ($this->sentinels as $view) {
            if ($view->master !== null) {
                $votes[(string) $view->master][] = $view->master;
            }
        }
        foreach ($votes as $named) {
            if (count($named) > intdiv(count($this->sentinels), 2)) {
                return $named[0];
            }
        }

        return null;
    }
}
