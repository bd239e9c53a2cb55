<?php

declare(strict_types=1);

namespace RedisHa\Laravel;

use Illuminate\Contracts\Config\Repository;
use Illuminate\Redis\RedisManager;
use RedisHa\Laravel\Cluster\Survey;
use RedisHa\Laravel\Errors\BadSetting;
use RedisHa\Laravel\Link\Locator;

/** What an application asks of its cluster: `app(App\Services\RedisHAService::class)`. */
final class RedisHaService
{
    public function __construct(
        private readonly RedisManager $redis,
        private readonly SentinelConnector $connector,
        private readonly Repository $config,
        private readonly Metrics $metrics,
    ) {
    }

    /**
     * Call `fn` with the connection and return what it returns.
     *
     * `readOnly` uses a replica that is fresh enough, else the master. `fn` is called again when
     * nothing that it sent was applied, or when it is said to be read only or idempotent.
     *
     * @template T
     * @param callable(SentinelConnection): T $fn
     * @return T
     */
    public function executeWithFailover(
        callable $fn,
        bool $readOnly = false,
        bool $idempotent = false,
        ?string $connection = null,
    ): mixed {
        $found = $this->redis->connection($connection);
        if (! $found instanceof SentinelConnection) {
            throw self::notEnabled($connection);
        }

        return $found->executeWithFailover($fn, $readOnly, $idempotent);
    }

    /** Ask every sentinel and every data node once. */
    public function survey(): Survey
    {
        $settings = $this->settings();
        $locator = new Locator($settings, $this->connector->scout($settings));
        $sentinels = $locator->sentinels();

        return new Survey($settings->masterName, $sentinels, $locator->nodes());
    }

    /**
     * Return figures of the servers by node, as INFO has them; `problem` for one that doesn't answer.
     *
     * @return array<string, array<string, string>>
     */
    public function stats(): array
    {
        $settings = $this->settings();
        $scout = $this->connector->scout($settings);
        $locator = new Locator($settings, $scout);
        $locator->sentinels();
        $wanted = [
            'role', 'redis_version', 'uptime_in_seconds', 'connected_clients', 'used_memory', 'maxmemory',
            'instantaneous_ops_per_sec', 'keyspace_hits', 'keyspace_misses', 'evicted_keys',
            'master_link_status', 'master_repl_offset', 'slave_repl_offset', 'connected_slaves',
        ];
        $stats = [];
        foreach ($locator->nodes() as $view) {
            $stats[(string) $view->address] = $view->role === null
                ? ['problem' => (string) $view->problem]
                : $scout->figures($view->address, $wanted);
        }

        return $stats;
    }

    /** @return array<string, int|float> what this process's calls came to */
    public function metrics(): array
    {
        return $this->metrics->toArray();
    }

    /** Return the settings of the default connection; throws BadSetting. */
    public function settings(): Settings
    {
        $redis = $this->config->get('database.redis', []);

        return $this->connector->settings($redis['default'] ?? [], $redis['options'] ?? [])
            ?? throw self::notEnabled(null);
    }

    private static function notEnabled(?string $connection): BadSetting
    {
        return new BadSetting(
            'use',
            'REDIS_SENTINEL_ENABLED',
            'Sentinel is not enabled for the connection ' . ($connection ?? 'default'),
            'set options.sentinel.enabled in config/database.php, and REDIS_CLIENT=phpredis',
        );
    }
}
