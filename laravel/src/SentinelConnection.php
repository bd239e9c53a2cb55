<?php

declare(strict_types=1);

namespace RedisHa\Laravel;

use Closure;
use Illuminate\Redis\Connections\PhpRedisConnection;
use Redis;
use RedisException;
use RedisHa\Laravel\Errors\BadSetting;
use RedisHa\Laravel\Errors\RedisHaException;
use RedisHa\Laravel\Link\Hush;
use RedisHa\Laravel\Link\Lineage;
use RedisHa\Laravel\Link\Seat;
use RedisHa\Laravel\Link\Silence;
use RedisHa\Laravel\Link\Tie;
use RedisHa\Laravel\Retry\Call;
use RedisHa\Laravel\Retry\Command;
use RedisHa\Laravel\Retry\Effect;
use RedisHa\Laravel\Retry\Meaning;
use Throwable;

/**
 * Laravel's connection on phpredis, whose commands survive a failover.
 *
 * A command is sent again when the server refused it, when it never left, when it only reads, or
 * when the configuration declares it repeatable. Between MULTI or WATCH and EXEC nothing is: the
 * new connection would not know of them.
 */
final class SentinelConnection extends PhpRedisConnection
{
    /** Longest (s) that a blocking pop waits at the server before we look whether that still lives. */
    private const SLICE = 1;

    private ?Seat $seat = null;
    private readonly Tie $tie;
    private readonly Lineage $lineage;
    /** The database that the application selected, null until it does: each next connection stands on it. */
    private ?int $database = null;
    /** Where the last write went: WAIT asks about that connection. */
    private ?Seat $written = null;
    /** What the command that was sent last may have changed. */
    private Effect $sent = Effect::None;

    /** @param array<string, mixed> $config */
    public function __construct(
        private readonly Failover $failover,
        private readonly Settings $settings,
        array $config,
    ) {
        $this->tie = new Tie();
        $this->lineage = new Lineage();
        $this->failover->run($this->sitDown(...));
        // Without a connector: Laravel's own reconnection knows nothing of masters.
        parent::__construct($this->client, null, $config);
    }

    /**
     * Call `fn` with this connection, again as a whole when that is safe; after a WATCH or MULTI
     * of its caller's only once, on the connection of these.
     *
     * @template T
     * @param callable(self): T $fn
     * @return T
     */
    public function executeWithFailover(callable $fn, bool $readOnly = false, bool $idempotent = false): mixed
    {
        if ($this->isBound()) {
            return $fn($this);
        }

        return $this->failover->run(function (Seat $seat) use ($fn): mixed {
            $this->sitDown($seat);

            return $fn($this);
        }, $readOnly, $idempotent);
    }

    /**
     * @param string $method
     * @param array<int, mixed> $parameters
     */
    public function command($method, array $parameters = []): mixed
    {
        $command = Command::of($method, $parameters);
        $seconds = $command->blocks();
        // In MULTI and in a pipeline nothing blocks before its end.
        $waits = $this->client->getMode() === Redis::ATOMIC;
        if ($waits && $command->waitsForever()) {
            throw new BadSetting(
                'call',
                strtoupper($command->name),
                'BLOCK 0 waits for ever, at a node that hangs too',
                'give BLOCK a time, such as 5000 ms, and ask again',
            );
        }
        if ($waits && $seconds !== null && ($seconds === 0.0 || $seconds > self::SLICE)) {
            return $this->block($command, $seconds);
        }

        return $this->deliver($command, fn (): mixed => parent::command($method, $parameters));
    }

    /**
     * @param mixed $cursor
     * @param array<string, mixed> $options
     */
    public function scan($cursor, $options = []): mixed
    {
        return $this->reading('scan', fn (): mixed => parent::scan($cursor, $options));
    }

    /**
     * @param string $key
     * @param mixed $cursor
     * @param array<string, mixed> $options
     */
    public function zscan($key, $cursor, $options = []): mixed
    {
        return $this->reading('zscan', fn (): mixed => parent::zscan($key, $cursor, $options));
    }

    /**
     * @param string $key
     * @param mixed $cursor
     * @param array<string, mixed> $options
     */
    public function hscan($key, $cursor, $options = []): mixed
    {
        return $this->reading('hscan', fn (): mixed => parent::hscan($key, $cursor, $options));
    }

    /**
     * @param string $key
     * @param mixed $cursor
     * @param array<string, mixed> $options
     */
    public function sscan($key, $cursor, $options = []): mixed
    {
        return $this->reading('sscan', fn (): mixed => parent::sscan($key, $cursor, $options));
    }

    /**
     * Load and run a script at the same node: another one may not know it.
     *
     * @param string $script
     * @param int $numkeys
     * @param mixed ...$arguments
     */
    public function evalsha($script, $numkeys, ...$arguments): mixed
    {
        return $this->executeWithFailover(fn (): mixed => parent::evalsha($script, $numkeys, ...$arguments));
    }

    /** Nothing is sent before all commands were named: only then can it have been applied. */
    public function pipeline(?callable $callback = null): mixed
    {
        return $callback === null ? $this->client()->pipeline() : $this->batch(Redis::PIPELINE, $callback);
    }

    /** A transaction is refused, and applied, as a whole. */
    public function transaction(?callable $callback = null): mixed
    {
        return $callback === null ? $this->command('multi') : $this->batch(Redis::MULTI, $callback);
    }

    /** @param array<int, string>|string $channels */
    public function subscribe($channels, Closure $callback): void
    {
        $this->follow($callback, fn (Closure $deliver): mixed => $this->client->subscribe(
            (array) $channels,
            static fn (Redis $redis, string $channel, mixed $message): mixed => $deliver($message, $channel),
        ));
    }

    /** @param array<int, string>|string $channels */
    public function psubscribe($channels, Closure $callback): void
    {
        $this->follow($callback, fn (Closure $deliver): mixed => $this->client->psubscribe(
            (array) $channels,
            static fn (Redis $redis, string $pattern, string $channel, mixed $message): mixed
                => $deliver($message, $channel),
        ));
    }

    /** Return phpredis's own object, connected to the master; what it is told is not repeated. */
    public function client(): Redis
    {
        $this->isBound()
            ? $this->failover->sends(Effect::Parts)
            : $this->failover->run($this->sitDown(...));
        $this->written = $this->seat;

        return $this->client;
    }

    public function disconnect(): void
    {
        $this->failover->close();
    }

    private function sitDown(Seat $seat): void
    {
        if ($seat !== $this->seat) {
            $this->tie->loosen();
        }
        $this->seat = $seat;
        $this->client = $seat->client;
        if ($this->database !== null) {
            $seat->stand($this->database);
        }
    }

    private function attempt(Command $command, Closure $send): mixed
    {
        $readOnly = $this->settings->readSplit && $command->isRead();
        $repeatable = $command->isRepeatable($this->settings->repeatable);

        return $this->failover->run(function (Seat $seat) use ($command, $send): mixed {
            $this->sitDown($seat);

            return $this->send($command, $send);
        }, $readOnly, $repeatable);
    }

    private function send(Command $command, Closure $send): mixed
    {
        $mode = $this->client->getMode();
        $effect = $this->tie->effect($command, $mode);
        if ($command->isWait() && $this->written !== null && $this->written !== $this->seat) {
            throw Call::unwaited((string) $this->written->address);
        }
        $this->sends($effect);
        if ($effect !== Effect::None && ! $command->isWait()) {
            $this->written = $this->seat;
        }
        Silence::forget($this->client, $command);
        $reply = $this->patiently($command->extraPatience($this->settings->timeout), $send);
        Silence::end($this->client, $command, $mode, $reply, $this->tie);
        $this->tie->note($command, $mode, $this->client->getMode(), $reply);
        $this->database = $this->seat?->selected($command, $reply) ?? $this->database;

        return $reply;
    }

    private function sends(Effect $effect): void
    {
        $this->sent = $effect;
        $this->failover->sends($effect);
    }

    private function reading(string $name, Closure $send): mixed
    {
        return $this->deliver(Command::of($name, []), $send);
    }

    private function deliver(Command $command, Closure $send): mixed
    {
        return $this->isBound()
            ? $this->within($command->name, fn (): mixed => $this->send($command, $send))
            : $this->attempt($command, $send);
    }

    /** Say whether what comes belongs to this very connection: a call, MULTI or WATCH is under way. */
    private function isBound(): bool
    {
        if ($this->failover->isRunning()) {
            return true;
        }
        if ($this->seat?->dropped) {
            $this->tie->loosen();

            return false;
        }
        if ($this->lineage->wasForked($this->seat) && $this->tie->isWatching()) {
            $this->tie->loosen();
            $error = new RedisException('this process was forked since');
            throw Call::lost((string) $this->seat?->address, 'a command', $error);
        }

        return $this->tie->holds($this->client->getMode());
    }

    /** Send on this connection and no other; outside of a call its loss is the end of WATCH and MULTI. */
    private function within(string $name, Closure $send): mixed
    {
        if ($this->failover->isRunning()) {
            return $send();
        }
        $this->sent = Effect::None;
        $queues = $this->tie->queues($this->client->getMode());
        try {
            return Hush::around(function () use ($send, $queues): mixed {
                if (! $queues) {
                    $this->seat?->wake();
                }

                return $send();
            });
        } catch (RedisException $error) {
            throw $this->ended($name, $queues, $error);
        }
    }

    /** Return the error that the caller shall see; give the connection up unless WATCH holds on. */
    private function ended(string $name, bool $queues, RedisException $error): RedisException
    {
        $own = $error instanceof RedisHaException;
        $meaning = $own ? Meaning::Callers : Meaning::of($error->getMessage());
        $isAnswer = in_array($meaning, [Meaning::Callers, Meaning::Denied], true);
        // What a long-lived process did next would only be queued, if MULTI were left open.
        if ($this->seat !== null && ! ($isAnswer && ! $queues)) {
            $this->failover->drop($this->seat);
        }
        $place = (string) $this->seat?->address;

        return match (true) {
            $isAnswer => $error,
            $this->sent->mayBeApplied($meaning) => Call::unknown($place, $error),
            default => Call::lost($place, $name, $error),
        };
    }

    /** Wait in slices: a server that hangs or was cut off says nothing, however long one waits. */
    private function block(Command $command, float $seconds): mixed
    {
        $until = $seconds === 0.0 ? INF : Clock::now() + $seconds;
        do {
            $slice = (int) max(1, min(self::SLICE, ceil($until - Clock::now())));
            $sliced = $command->blockingFor($slice);
            $result = $this->deliver(
                $sliced,
                fn (): mixed => parent::command($sliced->method(), $sliced->parameters()),
            );
            $isEmpty = $result === false || $result === null || $result === [];
        } while ($isEmpty && Silence::error($this->client) === null && Clock::now() < $until);

        return $result;
    }

    private function patiently(float $extra, Closure $send): mixed
    {
        if ($extra === 0.0) {
            return $send();
        }
        $client = $this->client;
        $client->setOption(Redis::OPT_READ_TIMEOUT, $this->settings->readTimeout + $extra);
        try {
            return $send();
        } finally {
            $client->setOption(Redis::OPT_READ_TIMEOUT, $this->settings->readTimeout);
        }
    }

    private function batch(int $kind, callable $callback): mixed
    {
        if ($this->isBound()) {
            return $this->within('exec', fn (): mixed => $this->make($kind, $callback));
        }

        return $this->failover->run(function (Seat $seat) use ($kind, $callback): mixed {
            $this->sitDown($seat);

            return $this->make($kind, $callback);
        });
    }

    private function make(int $kind, callable $callback): mixed
    {
        Silence::forget($this->client, Command::of('multi', []));
        $batch = $this->client->multi($kind);
        $mode = $batch->getMode();
        try {
            $callback($batch);
        } catch (Throwable $error) {
            $this->discard($batch, $mode);
            throw $error;
        }

        return $this->send(Command::of('exec', []), static fn (): mixed => $batch->exec());
    }

    /** Leave MULTI or the pipeline: what a long-lived process does next would only be queued. */
    private function discard(Redis $batch, int $mode): void
    {
        try {
            $batch->discard();
            $this->tie->note(Command::of('discard', []), $mode, $batch->getMode(), true);
        } catch (RedisException) {
            // The connection is gone, and the batch with it.
        }
    }

    /** Subscribe, and again on the next master; ends when the callback unsubscribed. */
    private function follow(Closure $deliver, Closure $subscribe): void
    {
        $thrown = null;
        $guarded = static function (mixed ...$arguments) use ($deliver, &$thrown): mixed {
            try {
                return $deliver(...$arguments);
            } catch (RedisException $error) {
                $thrown = $error;
                throw $error;
            }
        };
        while (true) {
            $this->client();
            $isTied = $this->tie->isWatching();
            try {
                Hush::around(fn (): mixed => $this->patiently(
                    max(0.0, $this->settings->subscriptionSilence - $this->settings->readTimeout),
                    fn (): mixed => $subscribe($guarded),
                ));

                return;
            } catch (RedisException $error) {
                if ($thrown !== null || $this->seat === null) {
                    throw $error;
                }
                $this->failover->drop($this->seat);
                if ($isTied) {
                    throw Call::lost((string) $this->seat->address, 'subscribe', $error);
                }
            }
        }
    }
}
