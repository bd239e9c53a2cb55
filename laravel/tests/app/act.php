<?php

declare(strict_types=1);

/*
 * One process of the application: act.php ROLE SECONDS [ID]. What it did goes to standard output,
 * one JSON object a line; it ends after SECONDS.
 */

use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Support\Facades\Cache;
use Illuminate\Support\Facades\Redis;
use RedisHa\Laravel\Tests\app\RecordJob;
use RedisHa\Laravel\Tests\app\TestApplication;

require __DIR__ . '/../autoload.php';

[, $role, $seconds, $id] = $argv + [3 => '0'];
$app = TestApplication::boot();
$until = microtime(true) + (float) $seconds;
$say = static function (mixed ...$fields): void {
    fwrite(STDOUT, json_encode($fields, JSON_THROW_ON_ERROR) . "\n");
};
$repeat = static function (int $perSecond, Closure $act) use ($until, $say): void {
    for ($n = 0; microtime(true) < $until; $n++) {
        $began = microtime(true);
        try {
            $say(n: $n, at: microtime(true), ok: true, value: $act($n));
        } catch (Throwable $error) {
            $spent = microtime(true) - $began;
            $say(n: $n, at: microtime(true), ok: false, error: $error::class, text: $error->getMessage(), seconds: $spent);
        }
        usleep((int) max(0, (1 / $perSecond - (microtime(true) - $began)) * 1_000_000));
    }
};

match ($role) {
    // Facade and cache in turn.
    'write' => $repeat(80, static fn (int $n): mixed => $n % 2 === 0
        ? Redis::set("w:{$id}:{$n}", $n) && true
        : Cache::put("w:{$id}:{$n}", $n, 3600)),
    // What the cache forgets in silence, and what a set tells of its member.
    'forget' => $repeat(60, static fn (int $n): mixed => Cache::put("f:{$id}:{$n}", $n, 60)
        && in_array(Cache::forget("f:{$id}:{$n}"), [true, false], true)),
    'sign' => $repeat(60, static fn (int $n): mixed => Redis::sadd("s:{$id}", $n)),
    // A write that must not be made twice, by number, so that a second one shows.
    'append' => $repeat(60, static fn (int $n): mixed => $app->make('App\Services\RedisHAService')->executeWithFailover(
        static fn (mixed $redis): mixed => $redis->rpush("a:{$id}", "{$n}"),
    )),
    'read' => $repeat(60, static fn (int $n): mixed => $app->make('App\Services\RedisHAService')->executeWithFailover(
        static fn (mixed $redis): mixed => $redis->get('w:0:0'),
        readOnly: true,
    )),
    'dispatch' => $repeat(10, static fn (int $n): mixed => RecordJob::dispatch((string) getenv('TEST_APP_JOBS'), "{$n}") && true),
    'pop' => $say(value: Redis::blpop('pop', (int) $seconds), at: microtime(true)),
    'hear' => Redis::subscribe(['news'], static function (string $message) use ($say): void {
        $say(value: $message, at: microtime(true));
        if ($message === 'end') {
            exit(0);
        }
    }),
    'transact' => $say(value: Redis::transaction(static function (mixed $tx): void {
        $tx->set('t:1', '1')->incr('t:2');
    }), piped: Redis::pipeline(static function (mixed $pipe): void {
        $pipe->set('p:1', '1');
        $pipe->get('p:1');
    })),
    // One write, sent when the file that TEST_APP_GO names is there; says how often it was tried.
    'once' => (static function () use ($app, $id, $say): void {
        Redis::ping();
        $say(ready: true);
        while (! file_exists((string) getenv('TEST_APP_GO'))) {
            clearstatcache();
            usleep(5000);
        }
        $runs = 0;
        $error = null;
        try {
            $app->make('App\Services\RedisHAService')->executeWithFailover(static function (mixed $redis) use (&$runs): mixed {
                $runs++;

                return $redis->rpush('once', '1');
            }, idempotent: $id === 'idempotent');
        } catch (Throwable $caught) {
            $error = $caught::class;
        }
        $say(runs: $runs, error: $error);
    })(),
    // What an application uses Redis for, once each; a step that fails ends it.
    'surface' => $say(ok: true, value: (static function () use ($app, $id): array {
        $session = $app->make('session')->driver();
        $session->setId(str_pad($id, 40, 'x'));
        $session->start();
        $session->put('visits', $session->get('visits', 0) + 1);
        $session->save();
        $app->make(BroadcastManager::class)->connection()->broadcast(['news'], 'happened', ['id' => $id]);
        $lock = Cache::lock("lock:{$id}", 5);
        $found = [
            'visits' => $session->get('visits'),
            'locked' => $lock->get() && ! Cache::lock("lock:{$id}", 5)->get() && $lock->release(),
            'remembered' => Cache::remember("r:{$id}", 60, static fn (): string => 'value'),
            'tagged' => Cache::tags(['t'])->put('k', 'v', 60),
            'incremented' => Cache::increment('visits'),
            'scanned' => is_array(Redis::scan(null, ['count' => 100])),
        ];
        Redis::watch("x:{$id}");
        Redis::multi();
        Redis::set("x:{$id}", '1');
        $found['watched'] = Redis::exec();
        Redis::set("x:{$id}", '2');
        $found['after'] = Redis::get("x:{$id}");

        return $found;
    })()),
    'metrics' => $repeat(20, static fn (int $n): mixed => [
        Redis::incr('m'), $app->make('App\Services\RedisHAService')->metrics()]),
};
