<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Tests\Unit;

use Illuminate\Config\Repository;
use Illuminate\Foundation\Application;
use Illuminate\Redis\RedisManager;
use PHPUnit\Framework\TestCase;
use RedisHa\Laravel\Errors\BadSetting;
use RedisHa\Laravel\RedisHaService;
use RedisHa\Laravel\RedisHaServiceProvider;

final class ProviderTest extends TestCase
{
    public function testTheServiceHasTheNameThatApplicationsAskFor(): void
    {
        $app = self::application();
        (new RedisHaServiceProvider($app))->register();
        self::assertInstanceOf(RedisHaService::class, $app->make('App\Services\RedisHAService'));
    }

    public function testAManagerThatIsThereAlreadyGetsTheConnector(): void
    {
        $app = self::application();
        $redis = $app->make('redis');
        (new RedisHaServiceProvider($app))->register();
        // Only the package's connector reads the settings of a sentinel.
        $this->expectException(BadSetting::class);
        $redis->connection();
    }

    private static function application(): Application
    {
        $app = new Application(__DIR__);
        $app->instance('config', new Repository());
        $config = ['options' => ['sentinel' => ['enabled' => true]], 'default' => ['host' => '127.0.0.1', 'port' => 1]];
        $app->singleton('redis', static fn (Application $app): RedisManager => new RedisManager($app, 'phpredis', $config));

        return $app;
    }
}
