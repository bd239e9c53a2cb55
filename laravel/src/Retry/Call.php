<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Retry;

use RedisHa\Laravel\Errors\AccessDenied;
use RedisHa\Laravel\Errors\CallTimedOut;
use RedisHa\Laravel\Errors\NoMaster;
use RedisHa\Laravel\Errors\OutcomeUnknown;
use RedisHa\Laravel\Errors\RedisHaException;
use RedisHa\Laravel\Errors\TransactionLost;
use RedisException;

/** One call: its time, what it has sent, and what its errors lead to. */
final class Call
{
    /** The connection may break again on the new master; a third time is no coincidence. */
    private const UNCERTAIN_RETRIES = 2;
    /** Seconds before the next attempt at a node; doubled each time that it lacks replicas. */
    private const PAUSE = 0.05;
    private const LONGEST_PAUSE = 0.5;

    public bool $onReplica = false;
    public int $attempts = 0;
    /** Where the attempt goes. */
    public string $place = 'the cluster';
    private int $effects = 0;
    private Effect $last = Effect::None;
    private int $uncertain = 0;
    private int $shortages = 0;

    public function __construct(
        private readonly float $seconds,
        private readonly float $began,
        private readonly bool $repeatable,
    ) {
    }

    public function deadline(): float
    {
        return $this->began + $this->seconds;
    }

    public function isOver(float $now): bool
    {
        return $now >= $this->deadline();
    }

    /**
     * Say whether the connection that this error came over can serve the next attempt. After a pipeline
     * there may be replies on it that nobody read.
     */
    public function spares(RedisException $error): bool
    {
        return Meaning::isShortage($error->getMessage()) && $this->last !== Effect::Parts;
    }

    /** Return how long (s) to wait before the next attempt at the node that this error came from. */
    public function pause(RedisException $error): float
    {
        if (! Meaning::isShortage($error->getMessage())) {
            return self::PAUSE;
        }

        return min(self::LONGEST_PAUSE, self::PAUSE * 2 ** min(10, $this->shortages++));
    }

    public function begin(): void
    {
        $this->attempts++;
        $this->effects = 0;
        $this->last = Effect::None;
    }

    /** Note what is about to be sent. */
    public function sends(Effect $effect): void
    {
        $this->effects += (int) ($effect !== Effect::None);
        $this->last = $effect;
    }

    /** Return when the attempt may be repeated; else throw what the caller shall see. */
    public function failed(RedisException $error, float $now): Meaning
    {
        if ($error instanceof NoMaster && $this->uncertain > 0) {
            throw self::unfound($error);
        }
        $meaning = $this->meaning($error);
        if ($meaning === Meaning::Callers) {
            throw $error;
        }
        if ($meaning === Meaning::Denied) {
            throw self::denied($this->place, $error);
        }
        $wasRefused = $this->last !== Effect::None && ! $this->last->mayBeApplied($meaning);
        $effects = $this->effects - (int) $wasRefused;
        if ($effects > 0 && ! ($this->repeatable && $this->uncertain < self::UNCERTAIN_RETRIES)) {
            throw self::unknown($this->place, $error);
        }
        $this->uncertain += (int) ($effects > 0);
        if ($this->isOver($now)) {
            throw $this->timedOut($error);
        }

        return $meaning;
    }

    /** Build the error of a call whose time is over. */
    public function timedOut(RedisException $error): CallTimedOut
    {
        $applied = $this->uncertain > 0 ? 'writes that it sent may have been applied' : 'nothing was applied';

        return new CallTimedOut(
            'call',
            $this->place,
            "not done within {$this->seconds} s: " . self::plain($error),
            "{$applied}; see `php artisan redis:ha status`, or raise REDIS_CALL_TIMEOUT",
            $error,
        );
    }

    /** Build the error of a call that may have been applied, and for whose repetition there is no master. */
    private static function unfound(NoMaster $error): OutcomeUnknown
    {
        return new OutcomeUnknown(
            $error->operation,
            $error->subject,
            $error->cause . ', and writes that the call sent before may have been applied',
            $error->hint,
            $error,
        );
    }

    /** Build the error of a user or certificate that won't do. */
    public static function denied(string $place, RedisException $error): AccessDenied
    {
        if ($error instanceof AccessDenied) {
            return $error;
        }
        $certificate = str_contains($error->getMessage(), 'certificate');

        return new AccessDenied(
            'use',
            $place,
            self::plain($error),
            $certificate
                ? 'REDIS_TLS_CA is not the CA of this cluster, or the certificate is not for this address'
                : 'check REDIS_USERNAME, REDIS_PASSWORD and the user\'s ACL rules',
            $error,
        );
    }

    /** Build the error of writes of which nobody knows whether they were applied. */
    public static function unknown(string $place, RedisException $error): OutcomeUnknown
    {
        return new OutcomeUnknown(
            'call',
            $place,
            self::plain($error) . ', after a write or a pipeline had been sent',
            'see what was applied; what is declared idempotent is repeated for you',
            $error,
        );
    }

    /** Build the error of a WAIT whose writes went over another connection than there is now. */
    public static function unwaited(string $place): OutcomeUnknown
    {
        return new OutcomeUnknown(
            'wait for the replicas of',
            $place,
            'the connection that the writes went over is gone, and another one knows nothing of them',
            'see what was applied, write again what must be durable, and WAIT then',
        );
    }

    /** Build the error of a transaction whose connection is gone before its EXEC. */
    public static function lost(string $place, string $command, RedisException $error): TransactionLost
    {
        return new TransactionLost(
            'send',
            strtoupper($command) . " to {$place}",
            self::plain($error) . ', and WATCH and MULTI are gone with the connection',
            'nothing of the transaction was applied: begin it anew, from WATCH on',
            $error,
        );
    }

    private function meaning(RedisException $error): Meaning
    {
        if ($error instanceof RedisHaException) {
            return Meaning::Callers;
        }
        $meaning = Meaning::of($error->getMessage());
        // A write in a call that was said to read only: it was sent there on purpose.
        $wanted = $this->onReplica && str_starts_with($error->getMessage(), 'READONLY');

        return $wanted ? Meaning::Callers : $meaning;
    }

    /** Laravel's queue worker ends when a message holds certain words on lost connections. */
    private static function plain(RedisException $error): string
    {
        $words = ['reset by peer' => 'reset by the server', 'server has gone away' => 'server went away'];

        $message = trim($error->getMessage());
        $isCode = preg_match('/^[A-Z]{2}/', $message) === 1;

        return strtr($isCode ? $message : lcfirst($message), $words);
    }
}
