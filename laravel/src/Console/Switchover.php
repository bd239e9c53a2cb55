<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Console;

use Closure;
use Illuminate\Contracts\Config\Repository;
use RedisHa\Laravel\Errors\BadSetting;
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
     * an env file) and return its exit code; throws BadSetting when it is not installed.
     *
     * @param Closure(string): mixed $print
     */
    public function run(bool $json, Closure $print): int
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
        $process = new Process([$path, 'failover', '--yes', ...($json ? ['--json'] : [])], null, null, null, self::SECONDS);

        return $process->run(static fn (string $type, string $text): mixed => $print($text));
    }
}
