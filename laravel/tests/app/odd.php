<?php

declare(strict_types=1);

/*
 * What long-lived and unusual processes do: odd.php ROLE. The outcome goes to standard output as one
 * JSON object, after a line {"ready": true} where the role waits for the file that TEST_APP_GO names.
 */

use Illuminate\Support\Facades\Event;
use Illuminate\Support\Facades\Redis;
use RedisHa\Laravel\Events\MasterChanged;
use RedisHa\Laravel\Tests\app\TestApplication;

require __DIR__ . '/../autoload.php';

$say = static function (mixed ...$fields): void {
    fwrite(STDOUT, json_encode($fields, JSON_THROW_ON_ERROR) . "\n");
};
$waitForGo = static function () use ($say): void {
    $say(ready: true);
    while (! file_exists((string) getenv('TEST_APP_GO'))) {
        clearstatcache();
        usleep(20_000);
    }
};
$failure = static function (Closure $act): ?string {
    try {
        $act();

        return null;
    } catch (Throwable $error) {
        return $error::class;
    }
};
TestApplication::boot(['database.redis.packed' => [
    'username' => getenv('REDIS_USERNAME'),
    'password' => getenv('REDIS_PASSWORD'),
    'database' => 3,
    'name' => 'packer',
    'options' => ['serializer' => \Redis::SERIALIZER_PHP, 'prefix' => 'packed:', 'cluster' => 'redis'],
], 'database.redis.own' => [
    'username' => getenv('REDIS_USERNAME'),
    'password' => getenv('REDIS_PASSWORD'),
    'database' => 3,
    'prefix' => 'own:',
]]);

match ($argv[1]) {
    // As Octane and queue workers do: nothing for a long time, and then a write that counts.
    'idle' => (static function () use ($say, $waitForGo, $failure): void {
        Redis::incr('idle');
        $waitForGo();
        $say(error: $failure(static fn (): mixed => Redis::incr('idle')), value: (int) Redis::get('idle'));
    })(),
    'fork' => (static function () use ($say, $failure): void {
        Redis::incr('forked');
        $count = static function (): void {
            for ($n = 0; $n < 100; $n++) {
                Redis::incr('forked');
            }
        };
        $child = pcntl_fork();
        $error = $failure($count);
        if ($child === 0) {
            exit($error === null ? 0 : 1);
        }
        pcntl_waitpid($child, $status);
        sleep(2);
        $after = $failure(static fn (): mixed => Redis::incr('forked'));
        $say(error: $error, after: $after, child: pcntl_wexitstatus($status), value: (int) Redis::get('forked'));
    })(),
    // A batch whose making fails halfway.
    'abandon' => (static function () use ($say, $failure): void {
        $errors = [];
        foreach (['pipeline', 'transaction'] as $kind) {
            $errors[] = $failure(static fn (): mixed => Redis::$kind(static function (mixed $batch): void {
                $batch->set('half', '1');
                throw new LogicException('not what was meant');
            }));
        }
        $say(errors: $errors, half: Redis::get('half'), next: Redis::incr('next'));
    })(),
    // Other databases, prefixes, names and serializers beside the default connection.
    'options' => (static function () use ($say, $waitForGo): void {
        $redis = Redis::connection('packed');
        $redis->set('object', ['deep' => [1, 2.5, null]]);
        Redis::connection('own')->set('key', '1');
        Redis::set('plain', 'text');
        $waitForGo();
        $redis->rpush('list', ['a' => 1]);
        $say(
            object: $redis->get('object'),
            popped: $redis->blpop('list', 1),
            own: Redis::connection('own')->get('key'),
            plain: Redis::get('plain'),
            scripted: Redis::evalsha('return redis.call("get", KEYS[1])', 1, 'plain'),
        );
    })(),
    // Listeners that use Redis themselves, or fail.
    'listen' => (static function () use ($say, $waitForGo): void {
        Event::listen(MasterChanged::class, static fn (): mixed => Redis::incr('heard'));
        Event::listen(MasterChanged::class, static fn (): never => throw new LogicException('a listener of its own'));
        Redis::incr('listened');
        $waitForGo();
        $say(value: Redis::set('listened', '2') && true, heard: (int) Redis::get('heard'));
    })(),
    // A short block with shorter patience.
    'short' => (static function () use ($say): void {
        $began = hrtime(true);
        $say(value: Redis::blpop('nothing', 1), seconds: (hrtime(true) - $began) / 1e9);
    })(),
    // Blocks where the commands belong to a call, and raw ones; longer than the patience.
    'blocked' => (static function () use ($say): void {
        $service = app('App\Services\RedisHAService');
        $timed = static function (Closure $act): array {
            $began = hrtime(true);
            try {
                $value = $act();
            } catch (Throwable $error) {
                $value = $error::class . ': ' . $error->getMessage();
            }

            return ['value' => $value ?: null, 'seconds' => (hrtime(true) - $began) / 1e9];
        };
        $within = static fn (Closure $act): array => $timed(static fn (): mixed => $service->executeWithFailover($act));
        Redis::executeRaw(['RPUSH', 'raw', 'unserialized']);
        $say(
            pop: $within(static fn (mixed $redis): mixed => $redis->blpop('nothing', 2)),
            stream: $within(static fn (mixed $redis): mixed => $redis->xread(['nothing' => '$'], 1, 1500)),
            forever: $within(static fn (mixed $redis): mixed => $redis->xread(['nothing' => '$'], 1, 0)),
            alone: $timed(static fn (): mixed => Redis::executeRaw(['XREAD', 'BLOCK', '0', 'STREAMS', 'nothing', '$'])),
            raw: $timed(static fn (): mixed => Redis::executeRaw(['BLPOP', 'raw', 2])),
        );
    })(),
    // All members of a sorted set, by cursor; and reads, so that replicas are seen to serve.
    'cursor' => (static function () use ($say): void {
        for ($n = 0; $n < 25; $n++) {
            Redis::get('members:read');
        }
        $seen = [];
        $cursor = null;
        do {
            [$cursor, $found] = Redis::zscan('members', $cursor, ['count' => 100]) ?: [0, []];
            $seen += $found;
        } while ((int) $cursor !== 0);
        $say(seen: count($seen), metrics: app('App\Services\RedisHAService')->metrics());
    })(),
    // How old what it reads is: whoever writes `clock` writes the time.
    'clock' => (static function () use ($say): void {
        $metrics = app('App\Services\RedisHAService')->metrics(...);
        for ($until = hrtime(true) + 1e9 * (float) getenv('TEST_APP_SECONDS'); hrtime(true) < $until;) {
            $say(age: microtime(true) - (float) Redis::get('clock'), metrics: $metrics());
            usleep(20_000);
        }
    })(),
};
