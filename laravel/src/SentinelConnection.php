<?php

declare(strict_types=1);

namespace RedisHa\Laravel;

use Closure;
use Illuminate\Redis\Connections\PhpRedisConnection;
use Redis;
use RedisException;
use RedisHa\Laravel\Errors\BadSetting;
use RedisHa\Laravel\Link\Hush;
use RedisHa\Laravel\Link\Seat;
use RedisHa\Laravel\Retry\Command;
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
    /** Seconds of silence after which a subscription is made anew, as the node may hang. */
    private const SUBSCRIPTION_PATIENCE = 5.0;

    private ?Seat $seat = null;
    private bool $watching = false;

    /** @param array<string, mixed> $config */
    public function __construct(
        private readonly Failover $failover,
        private readonly Settings $settings,
        array $config,
    ) {
        $this->failover->run($this->sitDown(...));
        // Without a connector: Laravel's own reconnection knows nothing of masters.
        parent::__construct($this->client, null, $config);
    }

    /**
     * Call `fn` with this connection, again as a whole when that is safe.
     *
     * @template T
     * @param callable(self): T $fn
     * @return T
     */
    public function executeWithFailover(callable $fn, bool $readOnly = false, bool $idempotent = false): mixed
    {
        if ($this->failover->isRunning()) {
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
        return $callback === null ? $this->client()->multi() : $this->batch(Redis::MULTI, $callback);
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
        $this->failover->isRunning()
            ? $this->failover->sends(null)
            : $this->failover->run($this->sitDown(...));

        return $this->client;
    }

    public function disconnect(): void
    {
        $this->failover->close();
    }

    private function sitDown(Seat $seat): void
    {
        $this->seat = $seat;
        $this->client = $seat->client;
    }

    private function attempt(Command $command, Closure $send): mixed
    {
        $readOnly = $this->settings->readSplit && $command->isRead();
        $repeatable = $command->isRepeatable($this->settings->repeatable);

        return $this->failover->run(function (Seat $seat) use ($command, $send): mixed {
            $this->sitDown($seat);
            $this->failover->sends($command);

            return $this->patiently($command->extraPatience(), $send);
        }, $readOnly, $repeatable);
    }

    private function reading(string $name, Closure $send): mixed
    {
        return $this->deliver(Command::of($name, []), $send);
    }

    private function deliver(Command $command, Closure $send): mixed
    {
        return $this->isBound($command) ? $this->within($command, $send) : $this->attempt($command, $send);
    }

    /** Say whether a command belongs to this very connection: a call, MULTI or WATCH is under way. */
    private function isBound(Command $command): bool
    {
        return $this->failover->isRunning()
            || ($this->watching && $command->name !== 'watch')
            || $this->client->getMode() !== Redis::ATOMIC;
    }

    private function within(Command $command, Closure $send): mixed
    {
        if (in_array($command->name, ['exec', 'discard', 'unwatch'], true)) {
            $this->watching = false;
        }
        $this->failover->sends($command);
        try {
            return Hush::around(fn (): mixed => $this->patiently($command->extraPatience(), $send));
        } catch (RedisException $error) {
            if (! $this->failover->isRunning() && $this->seat !== null) {
                $this->watching = false;
                $this->failover->drop($this->seat);
            }
            throw $error;
        }
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
        } while (($result === false || $result === null || $result === []) && Clock::now() < $until);

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

    private function batch(int $mode, callable $callback): mixed
    {
        $send = function () use ($mode, $callback): mixed {
            $batch = $this->client->multi($mode);
            try {
                $callback($batch);
            } catch (Throwable $error) {
                self::discard($batch);
                throw $error;
            }
            $this->failover->sends(null);

            return $batch->exec();
        };
        $command = Command::of('exec', []);

        return $this->isBound($command) ? $this->within($command, $send) : $this->failover->run(
            function (Seat $seat) use ($send): mixed {
                $this->sitDown($seat);

                return $send();
            },
        );
    }

    /** Leave MULTI or the pipeline: what a long-lived process does next would only be queued. */
    private static function discard(Redis $batch): void
    {
        try {
            $batch->discard();
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
            try {
                Hush::around(fn (): mixed => $this->patiently(
                    self::SUBSCRIPTION_PATIENCE,
                    fn (): mixed => $subscribe($guarded),
                ));

                return;
            } catch (RedisException $error) {
                if ($thrown !== null || $this->seat === null) {
                    throw $error;
                }
                $this->failover->drop($this->seat);
            }
        }
    }
}
