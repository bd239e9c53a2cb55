<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use Redis;
use RedisException;
use RedisHa\Laravel\Clock;
use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Cluster\NodeView;
use RedisHa\Laravel\Cluster\SentinelView;
use RedisHa\Laravel\Retry\Call;
use RedisHa\Laravel\Retry\Meaning;
use RedisHa\Laravel\Settings;

/** Asks nodes and sentinels again and again over connections that stay open. */
final class Scout
{
    /** A node that doesn't answer within this time (s) at most is taken for gone, until it does. */
    private const PATIENCE = 0.4;
    /** One that let us wait is left alone for so long (s), so that it doesn't hold up the others. */
    private const LEAVE_ALONE = 1.0;

    /** @var array<string, Redis> */
    private array $clients = [];
    /** @var array<string, array{float, string}> until when, and why */
    private array $silent = [];
    /** @var array<string, RedisException> who refuses us */
    private array $denials = [];

    private readonly Lineage $lineage;
    private readonly float $patience;

    public function __construct(private readonly Dialer $dialer, private readonly Settings $settings)
    {
        $this->lineage = new Lineage();
        // So that a look at all sentinels is over within the connect timeout, whoever is gone.
        $share = $settings->connectTimeout / (count($settings->sentinels) + 1);
        $this->patience = min(self::PATIENCE, $share);
    }

    /** Ask a data node what it is. */
    public function askNode(Address $address): NodeView
    {
        try {
            $info = $this->ask($address, 'INFO', 'replication');

            return NodeView::parse($address, is_string($info) ? $info : '');
        } catch (RedisException $error) {
            return new NodeView($address, problem: $error->getMessage());
        }
    }

    /**
     * Ask a data node for these lines of INFO; `problem` when it doesn't answer.
     *
     * @param list<string> $names
     * @return array<string, string>
     */
    public function figures(Address $address, array $names): array
    {
        try {
            $info = $this->ask($address, 'INFO');
        } catch (RedisException $error) {
            return ['problem' => $error->getMessage()];
        }

        return array_intersect_key(NodeView::fields(is_string($info) ? $info : ''), array_flip($names));
    }

    /** Ask a sentinel for the master and its replicas. */
    public function askSentinel(Address $sentinel): SentinelView
    {
        try {
            $master = $this->ask($sentinel, 'SENTINEL', 'MASTER', $this->settings->masterName);
            if (! is_array($master)) {
                return new SentinelView($sentinel, problem: SentinelView::UNKNOWN_NAME);
            }
            $replicas = $this->ask($sentinel, 'SENTINEL', 'REPLICAS', $this->settings->masterName);

            return SentinelView::parse($sentinel, $master, is_array($replicas) ? $replicas : []);
        } catch (RedisException $error) {
            return new SentinelView($sentinel, problem: $error->getMessage());
        }
    }

    /** Ask anything; throws RedisException. */
    public function ask(Address $address, string ...$words): mixed
    {
        if ($this->lineage->wasForked($this->clients)) {
            $this->clients = [];
        }
        $key = (string) $address;
        $began = Clock::now();
        [$until, $why] = $this->silent[$key] ?? [0.0, ''];
        if ($began < $until) {
            throw new RedisException($why);
        }
        unset($this->denials[$key]);
        try {
            $this->clients[$key] ??= $this->dialer->forQuestions($address, $this->patience);

            return Hush::around(fn (): mixed => $this->clients[$key]->rawCommand(...$words));
        } catch (RedisException $error) {
            $this->note($key, $error, Clock::now() - $began);
            throw $error;
        }
    }

    /**
     * Return the error of the one who refused us, when all of these do.
     *
     * @param list<Address> $addresses
     */
    public function denial(array $addresses): ?RedisException
    {
        $denials = array_intersect_key($this->denials, array_flip(array_map(strval(...), $addresses)));
        $first = array_key_first($denials);

        return $first !== null && count($denials) === count($addresses)
            ? Call::denied($first, $denials[$first])
            : null;
    }

    private function note(string $key, RedisException $error, float $seconds): void
    {
        Hush::around(function () use ($key): void {
            unset($this->clients[$key]);
        });
        if (Meaning::of($error->getMessage()) === Meaning::Denied) {
            $this->denials[$key] = $error;
        }
        if ($seconds > $this->patience / 2) {
            $this->silent[$key] = [Clock::now() + self::LEAVE_ALONE, $error->getMessage()];
        }
    }
}
