<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Retry;

use Illuminate\Queue\LuaScripts;

/** A command as Laravel hands it to phpredis, and what may be done with it. */
final class Command
{
    /** What changes nothing. What is missing here is taken for a write: that only costs a repetition. */
    private const HARMLESS = 'auth select client ping echo time info role command memory object get mget getrange '
        . 'strlen getbit bitcount bitpos exists type ttl pttl expiretime pexpiretime keys scan randomkey dbsize '
        . 'dump touch watch unwatch hget hmget hgetall hkeys hvals hlen hexists hstrlen hrandfield '
        . 'hscan lrange llen lindex lget lpos scard sismember smismember smembers srandmember sscan sinter sunion '
        . 'sdiff zcard zcount zlexcount zrange zrangebyscore zrangebylex zrevrange zrevrangebyscore '
        . 'zrevrangebylex zrank zrevrank zscore zmscore zrandmember zscan xlen xrange xrevrange xread xpending '
        . 'xinfo pfcount geopos geodist geohash script multi discard';
    /** Commands whose last argument says for how many seconds they may block. */
    private const BLOCKING = ['blpop', 'brpop', 'brpoplpush', 'blmove', 'bzpopmin', 'bzpopmax'];
    /** Commands whose first argument does. */
    private const BLOCKING_FIRST = ['blmpop', 'bzmpop'];
    /** Where phpredis takes the milliseconds that others may block. */
    private const BLOCKING_MILLISECONDS = ['xread' => 2, 'xreadgroup' => 4, 'wait' => 1, 'waitaof' => 2];
    /** The same commands raw: their options begin here, and BLOCK is one of them. */
    private const RAW_OPTIONS = ['xread' => 0, 'xreadgroup' => 3];

    /**
     * @param list<mixed> $arguments
     * @param bool $raw sent as it stands: phpredis puts neither its prefix nor its serializer to it
     */
    private function __construct(
        public readonly string $name,
        public readonly array $arguments,
        public readonly bool $raw = false,
    ) {
    }

    /** @param array<int, mixed> $parameters as for Connection::command */
    public static function of(string $method, array $parameters): self
    {
        $parameters = array_values($parameters);
        if (strtolower($method) === 'rawcommand') {
            return new self(strtolower((string) ($parameters[0] ?? '')), array_slice($parameters, 1), true);
        }

        return new self(strtolower($method), $parameters);
    }

    public function isHarmless(): bool
    {
        return in_array($this->name, explode(' ', self::HARMLESS), true)
            && ! ($this->name === 'script' && strtolower((string) ($this->arguments[0] ?? '')) === 'flush');
    }

    /** Say whether any replica can serve it; a cursor means something only to the node that gave it. */
    public function isRead(): bool
    {
        $elsewhere = ['auth', 'select', 'client', 'script', 'watch', 'unwatch', 'multi', 'discard', 'role',
            'info', 'touch', 'scan', 'hscan', 'sscan', 'zscan'];

        return $this->isHarmless() && ! in_array($this->name, $elsewhere, true);
    }

    /**
     * Say whether it may be sent again when the first may have been applied.
     *
     * @param list<string> $listed the commands that the configuration declares so
     */
    public function isRepeatable(array $listed): bool
    {
        return $this->isHarmless()
            || $this->isQueueScript()
            || (! $this->isWait() && in_array($this->name, $listed, true) && ! $this->isConditional());
    }

    /** Return the seconds that it may block, 0.0 for ever, null when it doesn't block in slices. */
    public function blocks(): ?float
    {
        $place = $this->timeoutPlace();

        return $place === null ? null : (float) $this->arguments[$place];
    }

    /** Say whether it asks how durable the writes before it are, which only their own connection knows. */
    public function isWait(): bool
    {
        return in_array($this->name, ['wait', 'waitaof'], true);
    }

    /**
     * Return the seconds by which its reply may come later than another command's.
     *
     * @param float $most for a WAIT that says 0, which would be for ever
     */
    public function extraPatience(float $most): float
    {
        if ($this->isWait() && $this->milliseconds() === 0) {
            return $most;
        }

        return $this->blocks() ?? max(0, $this->milliseconds() ?? 0) / 1000;
    }

    /** Say whether it waits for a stream for ever, which can't be cut into slices. */
    public function waitsForever(): bool
    {
        return isset(self::RAW_OPTIONS[$this->name]) && $this->milliseconds() === 0;
    }

    /** Return the command with another time to block. */
    public function blockingFor(int $seconds): self
    {
        $arguments = $this->arguments;
        $arguments[$this->timeoutPlace() ?? count($arguments)] = $seconds;

        return new self($this->name, array_values($arguments), $this->raw);
    }

    /** Return the method of Connection::command that sends it. */
    public function method(): string
    {
        return $this->raw ? 'rawCommand' : $this->name;
    }

    /** @return list<mixed> the parameters for that method */
    public function parameters(): array
    {
        return $this->raw ? [$this->name, ...$this->arguments] : $this->arguments;
    }

    /** Return where among the arguments the seconds are that it may block; null when it doesn't. */
    private function timeoutPlace(): ?int
    {
        $last = count($this->arguments) - 1;
        if ($last < 0) {
            return null;
        }

        return match (true) {
            in_array($this->name, self::BLOCKING, true) => $last,
            in_array($this->name, self::BLOCKING_FIRST, true) => 0,
            default => null,
        };
    }

    /** Return the milliseconds that a stream's or replicas' reply may take, null where it says none. */
    private function milliseconds(): ?int
    {
        $index = self::BLOCKING_MILLISECONDS[$this->name] ?? null;
        $begin = $this->raw ? self::RAW_OPTIONS[$this->name] ?? null : null;
        if ($begin !== null) {
            $words = array_map(static fn (mixed $word): string => strtoupper((string) $word), $this->arguments);
            $streams = array_search('STREAMS', array_slice($words, $begin), true);
            $options = $streams === false ? [] : array_slice($words, $begin, $streams);
            $block = array_search('BLOCK', $options, true);
            $index = $block === false ? null : $begin + $block + 1;
        }

        return isset($this->arguments[$index ?? -1]) ? (int) $this->arguments[$index] : null;
    }

    /**
     * Laravel's queue keeps a job that it hands out in `:reserved` until it is done: a job whose
     * reply was lost comes back after retry_after. Moving jobs that are due can be done again, too.
     */
    private function isQueueScript(): bool
    {
        $scripts = [LuaScripts::pop(), LuaScripts::migrateExpiredJobs(), LuaScripts::size()];

        return $this->name === 'eval' && in_array($this->arguments[0] ?? '', $scripts, true);
    }

    /** A SET, EXPIRE or ZADD that depends on what was there, or says what was there, isn't the same twice. */
    private function isConditional(): bool
    {
        if (! in_array($this->name, ['set', 'expire', 'pexpire', 'expireat', 'pexpireat', 'zadd'], true)) {
            return false;
        }
        $words = [];
        $options = array_slice($this->arguments, $this->name === 'zadd' ? 1 : 2);
        array_walk_recursive($options, static function (mixed $word) use (&$words): void {
            $words[] = is_string($word) ? strtoupper($word) : '';
        });

        return array_intersect(['NX', 'XX', 'GET', 'GT', 'LT', 'INCR'], $words) !== [];
    }
}
