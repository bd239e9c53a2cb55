<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Tests\Unit;

use PHPUnit\Framework\TestCase;
use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Errors\BadSetting;
use RedisHa\Laravel\Settings;

final class SettingsTest extends TestCase
{
    public function testAWholeConfigurationIsRead(): void
    {
        $settings = Settings::parse(self::values(['host_override' => '127.0.0.1']));

        self::assertSame('h:26379', (string) $settings->sentinels[0]);
        self::assertSame('127.0.0.1:6380', (string) $settings->locate(new Address('10.0.0.2', 6380)));
        self::assertTrue($settings->persistent);
        self::assertFalse(Settings::parse(self::values(['pool_size' => 0]))->persistent);
    }

    public function testAConnectionMayRepeatMoreCommands(): void
    {
        self::assertSame(['set'], self::settings()->repeatable);
        self::assertSame(['set', 'del'], Settings::parse(self::values(['also_repeatable' => ['DEL']]))->repeatable);
    }

    public static function settings(): Settings
    {
        return Settings::parse(self::values([]));
    }

    /**
     * Each wrong value with the setting that is named.
     */
    public function testTheSettingAtFaultIsNamed(): void
    {
        $wrong = [
            'REDIS_SENTINEL_HOST_1' => ['service' => [['host' => null, 'port' => 26379]]],
            'REDIS_SENTINEL_PORT_1' => ['service' => [['host' => 'h', 'port' => 'x']]],
            'REDIS_USERNAME' => ['username' => null],
            'REDIS_PASSWORD' => ['password' => ''],
            'REDIS_TLS_CA' => ['tls_ca' => '/nowhere/ca.crt'],
            'REDIS_SUBSCRIPTION_SILENCE' => ['subscription_silence' => 0],
            'REDIS_CALL_TIMEOUT' => ['timeout' => 'soon'],
            'REDIS_POOL_SIZE' => ['pool_size' => -1],
        ];
        foreach ($wrong as $variable => $values) {
            try {
                Settings::parse(self::values($values));
                self::fail("{$variable} was taken");
            } catch (BadSetting $error) {
                self::assertSame($variable, $error->subject);
            }
        }
    }

    /**
     * @param array<string, mixed> $other
     * @return array<string, mixed>
     */
    private static function values(array $other): array
    {
        return $other + [
            'service' => [['host' => 'h', 'port' => '26379'], ['host' => null]],
            'master_name' => 'mymaster', 'username' => 'app', 'password' => 'p', 'tls_ca' => __FILE__,
            'subscription_silence' => 60, 'timeout' => 10, 'connect_timeout' => '1', 'read_timeout' => 2.0, 'max_lag' => 5,
            'pool_size' => 10, 'max_connections' => '50', 'min_connections' => 5, 'repeatable' => ['SET'],
        ];
    }
}
