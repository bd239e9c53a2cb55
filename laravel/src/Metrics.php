<?php

declare(strict_types=1);

namespace RedisHa\Laravel;

use RedisHa\Laravel\Errors\OutcomeUnknown;
use RedisHa\Laravel\Events\FailoverRetried;
use RedisHa\Laravel\Events\MasterChanged;
use Throwable;

/** What this process's calls came to since it began. */
final class Metrics
{
    private int $calls = 0;
    private int $replicaReads = 0;
    private int $refused = 0;
    private int $lost = 0;
    private int $failed = 0;
    private int $outcomeUnknown = 0;
    private int $masterChanges = 0;
    private float $longestCall = 0.0;

    public function called(float $seconds, bool $onReplica): void
    {
        $this->calls++;
        $this->replicaReads += (int) $onReplica;
        $this->longestCall = max($this->longestCall, $seconds);
    }

    public function failed(Throwable $error): void
    {
        $this->failed++;
        $this->outcomeUnknown += (int) ($error instanceof OutcomeUnknown);
    }

    public function happened(object $event): void
    {
        $this->masterChanges += (int) ($event instanceof MasterChanged);
        if ($event instanceof FailoverRetried) {
            $this->refused += (int) ($event->meaning === 'refused');
            $this->lost += (int) ($event->meaning === 'lost');
        }
    }

    /** @return array<string, int|float> counts, and the longest call in seconds */
    public function toArray(): array
    {
        return [
            'calls' => $this->calls,
            'replica_reads' => $this->replicaReads,
            'retried_refused' => $this->refused,
            'retried_lost' => $this->lost,
            'failed' => $this->failed,
            'outcome_unknown' => $this->outcomeUnknown,
            'master_changes' => $this->masterChanges,
            'longest_call_seconds' => round($this->longestCall, 3),
        ];
    }
}
