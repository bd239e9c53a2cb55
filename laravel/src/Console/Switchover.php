<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Console;

use Closure;
use Illuminate\Contracts\Config\Repository;
use RedisHa\Laravel\Errors\BadSetting;
use RedisHa\Laravel\Errors\CallTimedOut;
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
     * Run it with the application's environment (it needs REDIS_OPERATOR_USERNAME and _PASSWORD, or
     * an env file) and return its exit code; throws BadSetting when it is not installed, CallTimedOut.
     *
     * @param Closure(string): mixed $print what it prints, while it runs
     * @param Closure(string): mixed $complain the same, of its standard error
     */
    public function run(bool $json, Closure $print, Closure $complain): int
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
            return (new Process($words, null, null, null, self::SECONDS))->run(
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
}
