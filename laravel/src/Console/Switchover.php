<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Console;

use Closure;
use Illuminate\Contracts\Config\Repository;
use RedisHa\Laravel\Errors\BadSetting;
use RedisHa\Laravel\Errors\CallTimedOut;
use RedisHa\Laravel\Settings;
use Symfony\Component\Process\Exception\ProcessTimedOutException;
use Symfony\Component\Process\ExecutableFinder;
use Symfony\Component\Process\Process;

/**
 * The zero-loss switchover, made by the command `redis-ha failover`.
 *
 * It is not written a second time here: what to do when a pause, a sentinel or this process fails
 * in the middle is the hard part, and the application's own user may not pause or fail over.
 */
final class Switchover
{
    private const SECONDS = 60.0;

    public function __construct(private readonly Repository $config)
    {
    }

    /**
     * Run it on the cluster of these settings, as the operator of config/redis-ha.php or else of an env
     * file, and return its exit code; throws BadSetting when it is not installed, CallTimedOut.
     *
     * @param Closure(string): mixed $print what it prints, while it runs
     * @param Closure(string): mixed $complain the same, of its standard error
     */
    public function run(Settings $settings, bool $json, Closure $print, Closure $complain): int
    {
        $command = (string) $this->config->get('redis-ha.command', 'redis-ha');
        $path = is_executable($command) ? $command : (new ExecutableFinder())->find($command);
        if ($path === null) {
            throw new BadSetting(
                'run',
                'REDIS_HA_COMMAND',
                "there is no command {$command} on this machine",
                'install the Python package redis-ha, or run `redis-ha failover` where it is installed',
            );
        }
        $words = [$path, 'failover', '--yes', ...($json ? ['--json'] : [])];
        try {
            return (new Process($words, null, $this->environment($settings), null, self::SECONDS))->run(
                static fn (string $type, string $text): mixed
                    => $type === Process::ERR ? $complain($text) : $print($text),
            );
        } catch (ProcessTimedOutException) {
            throw new CallTimedOut(
                'run',
                "{$path} failover",
                'not done within ' . self::SECONDS . ' s',
                'see `php artisan redis:ha status` for who is the master',
            );
        }
    }

    /**
     * Return what it reads from its environment: of .env nothing is there once the configuration is cached.
     *
     * @return array<string, string>
     */
    private function environment(Settings $settings): array
    {
        $found = [
            'REDIS_SENTINEL_MASTER' => $settings->masterName,
            'REDIS_USERNAME' => $settings->username,
            'REDIS_PASSWORD' => $settings->password,
            'REDIS_TLS_CA' => $settings->ca,
            'REDIS_HOST_OVERRIDE' => (string) $settings->hostOverride,
            'REDIS_OPERATOR_USERNAME' => (string) $this->config->get('redis-ha.operator.username'),
            'REDIS_OPERATOR_PASSWORD' => (string) $this->config->get('redis-ha.operator.password'),
        ];
        foreach ($settings->sentinels as $index => $sentinel) {
            $number = $index + 1;
            $found["REDIS_SENTINEL_HOST_{$number}"] = $sentinel->host;
            $found["REDIS_SENTINEL_PORT_{$number}"] = (string) $sentinel->port;
        }

        return array_filter($found, static fn (string $value): bool => $value !== '');
    }
}
