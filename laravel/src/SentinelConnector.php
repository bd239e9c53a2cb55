<?php

declare(strict_types=1);

namespace RedisHa\Laravel;

use Closure;
use Illuminate\Redis\Connections\PhpRedisConnection;
use Illuminate\Redis\Connectors\PhpRedisConnector;
use Illuminate\Support\Arr;
use Redis;
use RedisHa\Laravel\Link\Dialer;
use RedisHa\Laravel\Link\Locator;
use RedisHa\Laravel\Link\Memory;
use RedisHa\Laravel\Link\Readers;
use RedisHa\Laravel\Link\Scout;
use RedisHa\Laravel\Link\Seats;

/** Laravel's phpredis connector; a connection whose `options.sentinel.enabled` is true survives. */
final class SentinelConnector extends PhpRedisConnector
{
    /**
     * @param array<string, mixed> $defaults config/redis-ha.php
     * @param string $folder where the processes of this application leave each other the master
     * @param string $laravel the framework's version
     */
    public function __construct(
        private readonly array $defaults,
        private readonly Metrics $metrics,
        private readonly Telling $telling,
        private readonly string $folder,
        private readonly string $laravel,
    ) {
    }

    /**
     * @param array<string, mixed> $config
     * @param array<string, mixed> $options
     */
    public function connect(array $config, array $options): PhpRedisConnection
    {
        $settings = $this->settings($config, $options);
        if ($settings === null) {
            return parent::connect($config, Arr::except($options, 'sentinel'));
        }
        $usual = Arr::except(
            array_merge($config, $options, $this->own($config)),
            ['options', 'sentinel', 'url', 'username', 'scheme'],
        );

        return new SentinelConnection($this->failover($settings, $usual), $settings, $config);
    }

    /**
     * Read the settings of a connection, null when Sentinel is not enabled for it; throws BadSetting.
     *
     * @param array<string, mixed> $config
     * @param array<string, mixed> $options
     */
    public function settings(array $config, array $options): ?Settings
    {
        $sentinel = array_merge($options['sentinel'] ?? [], $config['options']['sentinel'] ?? []);
        if (! filter_var($sentinel['enabled'] ?? false, FILTER_VALIDATE_BOOL)) {
            return null;
        }
        $given = array_filter($sentinel, static fn (mixed $value): bool => $value !== null);
        $user = array_filter(Arr::only($config, ['username', 'password']));

        return Settings::parse(array_merge($this->defaults, $user, $given));
    }

    /** Build what asks the cluster, without connecting. */
    public function scout(Settings $settings): Scout
    {
        return new Scout(new Dialer($settings, $this->creator()), $settings);
    }

    /** @param array<string, mixed> $options */
    private function failover(Settings $settings, array $options): Failover
    {
        if ($settings->persistent) {
            // Without it two connections of a process would share one stream, MULTI and all.
            ini_set('redis.pconnect.pooling_enabled', '1');
            ini_set('redis.pconnect.connection_limit', (string) $settings->maxConnections);
        }
        $scout = $this->scout($settings);
        $memory = new Memory($this->folder, $settings);
        $locator = new Locator($settings, $scout, $memory);
        $readers = new Readers($locator, $scout, $settings->maxLag, $memory);
        $seats = new Seats(new Dialer($settings, $this->creator(), $options), $locator, $readers);

        return new Failover($settings, $locator, $seats, $this->metrics, $this->telling);
    }

    /**
     * Return what wins over the options for all connections: since 9.12 a connection's prefix, too.
     *
     * @param array<string, mixed> $config
     * @return array<string, mixed>
     */
    private function own(array $config): array
    {
        $own = $config['options'] ?? [];
        if (isset($config['prefix']) && version_compare($this->laravel, '9.12', '>=')) {
            $own['prefix'] = $config['prefix'];
        }

        return $own;
    }

    /** @return Closure(array<string, mixed>): Redis */
    private function creator(): Closure
    {
        return fn (array $config): Redis => $this->createClient($config);
    }
}
