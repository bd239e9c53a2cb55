<?php

declare(strict_types=1);

namespace RedisHa\Laravel;

use Closure;
use Redis;
use RedisException;
use RedisHa\Laravel\Cluster\Known;
use RedisHa\Laravel\Errors\NoMaster;
use RedisHa\Laravel\Events\FailoverRetried;
use RedisHa\Laravel\Events\MasterChanged;
use RedisHa\Laravel\Link\Hush;
use RedisHa\Laravel\Link\Locator;
use RedisHa\Laravel\Link\Seat;
use RedisHa\Laravel\Link\Seats;
use RedisHa\Laravel\Retry\Call;
use RedisHa\Laravel\Retry\Effect;
use RedisHa\Laravel\Retry\Meaning;
use Throwable;

/** Runs calls on the node that is master now, and again on the next one when that is safe. */
final class Failover
{
    private ?Call $call = null;

    public function __construct(
        private readonly Settings $settings,
        private readonly Locator $locator,
        private readonly Seats $seats,
        private readonly Metrics $metrics,
        private readonly Telling $telling,
    ) {
    }

    /**
     * Call `attempt` with a connection and return what it returns; throws RedisHaException, and
     * errors that are the caller's own as phpredis does.
     *
     * @template T
     * @param Closure(Seat): T $attempt
     * @return T
     */
    public function run(Closure $attempt, bool $readOnly = false, bool $repeatable = false): mixed
    {
        $began = Clock::now();
        $call = $this->call = new Call($this->settings->timeout, $began, $repeatable || $readOnly);
        try {
            $result = Hush::around(fn (): mixed => $this->attempts($call, $attempt, $readOnly));
            $this->metrics->called(Clock::now() - $began, $call->onReplica);

            return $result;
        } catch (Throwable $error) {
            $this->metrics->failed($error);
            throw $error;
        } finally {
            $this->call = null;
            $this->telling->dispatch();
        }
    }

    /** Say whether a call is under way, whose attempts are repeated as a whole. */
    public function isRunning(): bool
    {
        return $this->call !== null;
    }

    /** Note that the call under way is about to send something. */
    public function sends(Effect $effect): void
    {
        $this->call?->sends($effect);
    }

    /** Give a connection up outside of a call. */
    public function drop(Seat $seat): void
    {
        Hush::around(fn () => $this->seats->drop($seat));
    }

    public function close(): void
    {
        Hush::around(fn () => $this->seats->close());
    }

    private function attempts(Call $call, Closure $attempt, bool $readOnly): mixed
    {
        $before = $this->locator->known;
        $troubled = null;
        while (true) {
            $seat = null;
            $call->begin();
            try {
                $seat = $readOnly ? $this->seats->reader($call->deadline()) : $this->seats->master($call->deadline());
                $call->onReplica = $seat->replica;
                $call->place = (string) $seat->address;
                $this->noteChange($before, $troubled);

                return $attempt($seat);
            } catch (RedisException $error) {
                $troubled ??= Clock::now();
                $this->recover($call, $seat, $error);
            }
        }
    }

    private function recover(Call $call, ?Seat $seat, RedisException $error): void
    {
        $meaning = Meaning::of($error->getMessage());
        $spared = $seat !== null && $call->spares($error) && $seat->client->getMode() === Redis::ATOMIC;
        if ($seat !== null && ! $spared && in_array($meaning, [Meaning::Refused, Meaning::Lost], true)) {
            $this->seats->drop($seat);
        }
        $known = $this->locator->known;
        $meaning = $call->failed($error, Clock::now());
        $this->telling->note(
            new FailoverRetried($call->place, $meaning->value, $error->getMessage(), $call->attempts),
        );
        if ($seat?->replica) {
            return;
        }
        $found = $this->find($call);
        if ($known !== null && $found->address->is($known->address)) {
            $left = max(0.0, $call->deadline() - Clock::now());
            usleep((int) (1_000_000 * min($call->pause($error), $left)));
        } elseif ($seat !== null && $spared) {
            $this->seats->drop($seat);
        }
    }

    private function find(Call $call): Known
    {
        try {
            return $this->locator->find($call->deadline());
        } catch (NoMaster $none) {
            $call->failed($none, Clock::now());
            throw $none;
        }
    }

    private function noteChange(?Known &$before, ?float $troubled): void
    {
        $now = $this->locator->known;
        if ($before !== null && $now !== null && ! $now->address->is($before->address)) {
            $seconds = $troubled === null ? 0.0 : Clock::now() - $troubled;
            $this->telling->note(new MasterChanged((string) $before->address, (string) $now->address, $seconds));
        }
        $before = $now;
    }
}
