<?php

declare(strict_types=1);

/*
 * What long-lived and unusual processes do: odd.php ROLE. The outcome goes to standard output as one
 * JSON object, after a line {"ready": true} where the role waits for the file that TEST_APP_GO names.
 */

use Illuminate\Support\Facades\Event;
use Illuminate\Support\Facades\Redis;
use RedisHa\Laravel\Events\FailoverRetried;
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
], 'database.redis.plain' => [
    'username' => getenv('REDIS_USERNAME'),
    'password' => getenv('REDIS_PASSWORD'),
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
    // What each of several connections of one process says of where it stands.
    'databases' => (static function () use ($say, $waitForGo): void {
        $info = static fn (mixed $redis): string => $redis->executeRaw(['CLIENT', 'INFO']);
        $stands = static fn (mixed $redis): int => (int) preg_replace('/.* db=(\d+) .*/s', '$1', $info($redis));
        // The kept stream of a connection that stands on another database, free for the next one.
        Redis::connection('packed')->set('key', '1');
        Redis::purge('packed');
        $kept = $stands(Redis::connection('plain'));
        Redis::connection('plain')->select(4);
        Redis::purge('plain');
        $purged = $stands(Redis::connection('plain'));
        Redis::select(5);
        Redis::connection('own')->transaction(static fn (mixed $tx): mixed => $tx->select(6));
        Redis::connection('plain')->executeRaw(['SELECT', '7']);
        $waitForGo();
        Redis::set('chosen', '1');
        $say(
            kept: $kept,
            purged: $purged,
            after: [$stands(Redis::connection()), $stands(Redis::connection('own')), $stands(Redis::connection('plain'))],
            replicas: app('App\Services\RedisHAService')->executeWithFailover($stands, readOnly: true),
        );
    })(),
    // WAIT on the connection of the write, on another one, and for ever.
    'durable' => (static function () use ($say, $waitForGo, $failure): void {
        Redis::set('durable', '1');
        $reached = Redis::wait(2, 2000);
        $began = hrtime(true);
        $never = $failure(static fn (): mixed => Redis::executeRaw(['WAIT', '9', '0']));
        $seconds = (hrtime(true) - $began) / 1e9;
        Redis::set('durable', '2');
        $waitForGo();
        $gone = $failure(static fn (): mixed => Redis::wait(1, 1000));
        $again = $failure(static fn (): mixed => Redis::wait(1, 1000));
        Redis::set('durable', '3');
        $say(reached: $reached, never: $never, seconds: $seconds, gone: $gone, again: $again, now: Redis::wait(2, 2000));
    })(),
    // A write to a master that lacks replicas: what it came to, and over how many connections.
    'shortage' => (static function () use ($say, $waitForGo, $failure): void {
        $connections = static fn (): int => (int) Redis::info()['total_connections_received'];
        $retries = 0;
        Event::listen(FailoverRetried::class, static function () use (&$retries): void {
            $retries++;
        });
        Redis::ping();
        $before = $connections();
        $waitForGo();
        $error = $failure(static fn (): mixed => Redis::incr('short'));
        $say(error: $error, retries: $retries, opened: $connections() - $before);
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
    // WATCH, and what comes after it when something happened in between.
    'watch' => (static function () use ($say, $waitForGo, $failure, $argv): void {
        $service = app('App\Services\RedisHAService');
        $id = static fn (): mixed => Redis::executeRaw(['CLIENT', 'ID']);
        [, , $begin, $then] = $argv;
        Redis::set('w', 'before');
        $before = $id();
        $begin === 'raw' ? Redis::executeRaw(['WATCH', 'test:w']) : Redis::watch('w');
        if ($begin === 'multi') {
            Redis::multi();
            Redis::set('w', 'mine');
        }
        $waitForGo();
        $sent = [];
        $transaction = static function () use (&$sent): mixed {
            Redis::multi();
            $sent[] = 'multi';
            Redis::set('w', 'mine');

            return Redis::exec();
        };
        $client = static fn (): mixed => Redis::client()->get('w');
        $sends = [
            'get' => static fn (): mixed => Redis::get('w'),
            'watch' => static fn (): mixed => Redis::watch('other'),
            'raw' => static fn (): mixed => Redis::executeRaw(['GET', 'test:w']),
            'exec' => static fn (): mixed => Redis::exec(),
            'transact' => $transaction,
            'callback' => static fn (): mixed => Redis::transaction(static fn (mixed $tx): mixed => $tx->set('w', 'mine')),
            'object' => static fn (): mixed => Redis::multi()->set('w', 'mine')->exec(),
            'service' => static fn (): mixed => $service->executeWithFailover(static fn (mixed $r): mixed => $r->get('w')),
            'script' => static fn (): mixed => Redis::evalsha('return redis.call("get", KEYS[1])', 1, 'w'),
            'client' => static fn (): mixed => $failure($client) && Redis::get('w'),
        ];
        $value = null;
        $error = $failure(static function () use (&$value, $sends, $then): void {
            $value = $sends[$then]();
        });
        $say(error: $error, value: $value, sent: $sent, same: $id() === $before, w: Redis::get('w'));
    })(),
    // Commands whose refusal phpredis only returns false for, and one that is wrong for its key.
    'silent' => (static function () use ($say, $waitForGo, $argv): void {
        $sends = [
            'blpop' => static fn (): mixed => Redis::blpop('q', 1),
            'zpopmin' => static fn (): mixed => Redis::zpopmin('z', 1),
            'spop' => static fn (): mixed => Redis::spop('s', 1),
        ];
        Redis::ping();
        $waitForGo();
        $value = $sends[$argv[2]]();
        $began = hrtime(true);
        Redis::set('text', '1');
        Redis::blpop('text', 3);
        $say(error: null, value: $value, wrong: (hrtime(true) - $began) / 1e9);
    })(),
    // Where reads go while WATCH holds, and then.
    'watched reads' => (static function () use ($say): void {
        $reads = static function (): int {
            for ($n = 0; $n < 25; $n++) {
                Redis::get('w');
            }

            return app('App\Services\RedisHAService')->metrics()['replica_reads'];
        };
        Redis::watch('w');
        $watched = $reads();
        Redis::unwatch();
        $say(watched: $watched, unwatched: $reads());
    })(),
    'watched fork' => (static function () use ($say, $failure): void {
        Redis::set('w', 'before');
        Redis::watch('w');
        $child = pcntl_fork();
        if ($child === 0) {
            $say(error: $failure(static fn (): mixed => Redis::get('w')), w: Redis::get('w'));
            // An exit would end the parent's TLS stream.
            posix_kill(getmypid(), SIGKILL);
        }
        pcntl_waitpid($child, $status);
        $say(value: Redis::transaction(static fn (mixed $tx): mixed => $tx->set('w', 'mine')));
    })(),
    // PUBLISH, which a server that refuses writes applies, and a write, in one batch.
    'refused' => (static function () use ($say, $waitForGo, $failure, $argv): void {
        $service = app('App\Services\RedisHAService');
        $kind = $argv[2];
        $runs = 0;
        $fill = static function (mixed $batch) use (&$runs, $kind, $waitForGo): void {
            $runs++;
            $batch->publish('told', $kind);
            $batch->set('refused', $kind);
            if ($kind === 'late') {
                $waitForGo();
            }
        };
        Redis::ping();
        if ($kind !== 'late') {
            $waitForGo();
        }
        $pipeline = static fn (mixed $redis): mixed => $redis->pipeline($fill);
        $transaction = static fn (mixed $redis): mixed => $redis->transaction($fill);
        $sends = [
            'pipeline' => static fn (): mixed => Redis::pipeline($fill),
            'transaction' => static fn (): mixed => Redis::transaction($fill),
            'late' => static fn (): mixed => Redis::transaction($fill),
            'in a call' => static fn (): mixed => $service->executeWithFailover($pipeline),
            'transaction in a call' => static fn (): mixed => $service->executeWithFailover($transaction),
            'idempotent' => static fn (): mixed => $service->executeWithFailover($pipeline, idempotent: true),
        ];
        $error = $failure($sends[$kind]);
        $say(error: $error, runs: $runs, value: Redis::get('refused'));
    })(),
};
