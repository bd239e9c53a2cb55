<?php

declare(strict_types=1);

namespace RedisHa\Laravel;

use Illuminate\Contracts\Foundation\Application;
use Illuminate\Redis\RedisManager;
use Illuminate\Support\ServiceProvider;
use RedisHa\Laravel\Console\RedisHaCommand;

/** Puts SentinelConnector in the place of Laravel's phpredis connector; REDIS_CLIENT stays phpredis. */
final class RedisHaServiceProvider extends ServiceProvider
{
    /** The name by which applications ask for the service. */
    private const SERVICE = 'App\Services\RedisHAService';

    public function register(): void
    {
        $this->mergeConfigFrom(__DIR__ . '/../config/redis-ha.php', 'redis-ha');
        $this->app->singleton(Metrics::class);
        $this->app->singleton(Telling::class);
        $this->app->singleton(SentinelConnector::class, fn (Application $app): SentinelConnector => new SentinelConnector(
            $app->make('config')->get('redis-ha'),
            $app->make(Metrics::class),
            $app->make(Telling::class),
            $app->storagePath() . '/framework/cache',
            $app->version(),
        ));
        $this->app->singleton(RedisHaService::class);
        if (! class_exists(self::SERVICE)) {
            class_alias(RedisHaService::class, self::SERVICE);
        }
        // An application may have a class of its own of that name.
        if (is_a(self::SERVICE, RedisHaService::class, true)) {
            $this->app->alias(RedisHaService::class, self::SERVICE);
        }
        // Also where somebody has used Redis before this provider came.
        $this->callAfterResolving('redis', function (RedisManager $redis, Application $app): void {
            // Not static: Laravel binds it to the manager.
            $redis->extend('phpredis', fn (): SentinelConnector => $app->make(SentinelConnector::class));
        });
    }

    public function boot(): void
    {
        if ($this->app->runningInConsole()) {
            $this->publishes([__DIR__ . '/../config/redis-ha.php' => $this->app->configPath('redis-ha.php')], 'redis-ha-config');
            $this->commands([RedisHaCommand::class]);
        }
    }
}
