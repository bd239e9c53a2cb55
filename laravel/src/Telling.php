<?php

declare(strict_types=1);

namespace RedisHa\Laravel;

use Illuminate\Contracts\Foundation\Application;
use RedisHa\Laravel\Events\FailoverRetried;
use RedisHa\Laravel\Events\MasterChanged;
use Throwable;

/**
 * Says what happened: counted and logged at once, dispatched when the call is over.
 *
 * A listener may use Redis itself, or broadcast over it. What goes wrong in telling is logged and
 * changes nothing of the call, whose writes were applied or not by then.
 */
final class Telling
{
    /** @var list<object> */
    private array $events = [];

    public function __construct(private readonly Application $app, private readonly Metrics $metrics)
    {
    }

    public function note(object $event): void
    {
        $this->events[] = $event;
        $this->metrics->happened($event);
        // A cluster that refuses everybody would fill the disk: attempts 1, 2, 4, 8 ... are logged.
        if ($event instanceof FailoverRetried && ($event->attempt & ($event->attempt - 1)) !== 0) {
            return;
        }
        $this->log(match (true) {
            $event instanceof MasterChanged => 'redis-ha: master changed',
            $event instanceof FailoverRetried => 'redis-ha: call repeated',
            default => 'redis-ha: ' . $event::class,
        }, get_object_vars($event));
    }

    /** Dispatch what was noted, outside of any call. */
    public function dispatch(): void
    {
        while (($event = array_shift($this->events)) !== null) {
            try {
                $this->app->make('events')->dispatch($event);
            } catch (Throwable $error) {
                $this->log('redis-ha: a listener failed', ['event' => $event::class, 'error' => $error->getMessage()]);
            }
        }
    }

    /** @param array<string, mixed> $fields */
    private function log(string $text, array $fields): void
    {
        try {
            $this->app->make('log')->warning($text, $fields);
        } catch (Throwable) {
            // A log that can't be written is no reason for a call to fail.
        }
    }
}
