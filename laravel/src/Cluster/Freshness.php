<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Cluster;

/**
 * How old the data of a replica can be, decided on what the nodes said: no I/O.
 *
 * A replica that has applied the offset which the master had at 12:00:00 misses at most what was
 * written since then. That needs no clock of the servers', and grows when the master is gone.
 */
final class Freshness
{
    private const KEPT = 64;

    /** @var list<array{float, string, int}> time (s), replication id, offset (bytes) */
    private array $marks = [];

    public function mark(float $now, NodeView $master): void
    {
        if ($master->isMaster()) {
            $this->marks[] = [$now, $master->replid, $master->offset];
            $this->marks = array_slice($this->marks, -self::KEPT);
        }
    }

    /** Return when the master held just what this replica holds; null when that isn't known. */
    public function freshAt(NodeView $view): ?float
    {
        if ($view->role !== 'slave' || $view->syncing) {
            return null;
        }
        $times = [];
        foreach ($this->marks as [$at, $replid, $offset]) {
            if ($replid === $view->replid && $offset <= $view->offset) {
                $times[] = $at;
            }
        }

        return $times === [] ? null : max($times);
    }
}
