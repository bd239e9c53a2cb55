<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Console;

use Illuminate\Console\Command;
use RedisHa\Laravel\Clock;
use RedisHa\Laravel\Errors\AccessDenied;
use RedisHa\Laravel\Errors\NoMaster;
use RedisHa\Laravel\RedisHaService;
use RedisException;
use Symfony\Component\Console\Output\OutputInterface;

/**
 * `php artisan redis:ha`: the cluster as this application sees it.
 *
 * With --json standard output has JSON only, one object a line; an error is {"error": TEXT}. Exit
 * codes: 0 healthy or done, 1 degraded or failed, 2 down or bad usage.
 */
final class RedisHaCommand extends Command
{
    private const HEALTHY = 0;
    private const DEGRADED = 1;
    private const DOWN = 2;

    protected $signature = 'redis:ha
        {action : status, health, stats, failover or monitor}
        {--interval=5 : seconds between two looks of monitor}
        {--duration=0 : seconds that monitor runs, 0 for ever}
        {--json : print JSON, one object a line}
        {--yes : do not ask before a failover; --json never asks}';

    protected $description = 'Show the Redis cluster, watch it, or switch its master over without loss';

    public function handle(RedisHaService $service, Switchover $switchover): int
    {
        try {
            return match ($this->argument('action')) {
                'status' => $this->status($service),
                'health' => $this->health($service),
                'stats' => $this->stats($service),
                'monitor' => $this->monitor($service),
                'failover' => $this->failover($service, $switchover),
                default => $this->usage(),
            };
        } catch (RedisException $error) {
            $this->complain($error->getMessage());

            return $error instanceof NoMaster || $error instanceof AccessDenied ? self::DOWN : self::DEGRADED;
        }
    }

    private function status(RedisHaService $service): int
    {
        $survey = $service->survey();
        $found = $survey->toArray();
        if ($this->option('json')) {
            $this->json($found);
        } else {
            $this->line("{$found['master_name']}: {$found['level']}, master " . ($found['master'] ?? 'unknown'));
            foreach ($found['nodes'] as $node) {
                $role = $node['role'] ?? "no answer: {$node['problem']}";
                $this->line("  node      {$node['address']}  {$role}  offset {$node['offset']}");
            }
            foreach ($found['sentinels'] as $sentinel) {
                $names = $sentinel['names'] === null ? $sentinel['problem'] : "names {$sentinel['names']}";
                $this->line("  sentinel  {$sentinel['address']}  {$names}");
            }
        }

        return self::code($found['level']);
    }

    private function health(RedisHaService $service): int
    {
        $survey = $service->survey();
        $level = $survey->level();
        $this->option('json')
            ? $this->json(['level' => $level, 'problems' => $survey->problems()])
            : $this->line(implode("\n  ", [$level, ...$survey->problems()]));

        return self::code($level);
    }

    private function stats(RedisHaService $service): int
    {
        $stats = $service->stats();
        if ($this->option('json')) {
            $this->json(['nodes' => $stats, 'process' => $service->metrics()]);

            return self::HEALTHY;
        }
        foreach ($stats as $node => $figures) {
            $this->line($node);
            foreach ($figures as $name => $value) {
                $this->line("  {$name} {$value}");
            }
        }

        return self::HEALTHY;
    }

    /** Print one line for each look; the exit code is that of the worst. */
    private function monitor(RedisHaService $service): int
    {
        $interval = (float) $this->option('interval');
        $duration = (float) $this->option('duration');
        if ($interval <= 0 || $duration < 0) {
            return $this->usage();
        }
        $until = $duration > 0 ? Clock::now() + $duration : INF;
        $worst = self::HEALTHY;
        do {
            $survey = $service->survey();
            $this->option('json')
                ? $this->json(['time' => date(DATE_ATOM)] + $survey->toArray())
                : $this->line(date('H:i:s') . " {$survey->level()}, master "
                    . ($survey->master() ?? 'unknown') . self::listed($survey->problems()));
            $worst = max($worst, self::code($survey->level()));
            $left = $until - Clock::now();
            if ($left > 0) {
                usleep((int) (min($interval, $left) * 1_000_000));
            }
        } while (Clock::now() < $until);

        return $worst;
    }

    private function failover(RedisHaService $service, Switchover $switchover): int
    {
        $json = (bool) $this->option('json');
        if ($json && ! $this->option('yes')) {
            $this->complain('failover --json does not ask: say --yes, too');

            return self::DOWN;
        }
        if (! $this->option('yes') && ! $this->confirm('Hand the mastership to a replica, without losing a write?')) {
            return self::DEGRADED;
        }
        $said = $complaints = '';
        $code = $switchover->run(
            $service->settings(),
            $json,
            function (string $text) use (&$said): void {
                $said .= $text;
                $this->output->write($text, false, OutputInterface::OUTPUT_RAW);
            },
            static function (string $text) use (&$complaints): void {
                $complaints .= $text;
                file_put_contents('php://stderr', $text);
            },
        );
        if ($json && $code !== self::HEALTHY && trim($said) === '') {
            $this->complain(trim($complaints) ?: "redis-ha failover ended with exit code {$code}");
        }

        return $code;
    }

    private function usage(): int
    {
        $this->complain('redis:ha status|health|stats|failover|monitor --interval=SECONDS --duration=SECONDS');

        return self::DOWN;
    }

    private function complain(string $text): void
    {
        $this->option('json') ? $this->json(['error' => $text]) : $this->error($text);
    }

    /** @param array<string, mixed> $document */
    private function json(array $document): void
    {
        $how = JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE | JSON_THROW_ON_ERROR;
        // Raw: Symfony would take <words> in it for its own marks.
        $this->output->writeln(json_encode($document, $how), OutputInterface::OUTPUT_RAW);
    }

    /** @param list<string> $problems */
    private static function listed(array $problems): string
    {
        return $problems === [] ? '' : ': ' . implode('; ', $problems);
    }

    private static function code(string $level): int
    {
        return ['healthy' => self::HEALTHY, 'degraded' => self::DEGRADED][$level] ?? self::DOWN;
    }
}
