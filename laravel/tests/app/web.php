<?php

declare(strict_types=1);

/*
 * One request of the application, served by PHP's own web server: its processes serve many, and
 * keep persistent connections between them.
 */

use Illuminate\Support\Facades\Cache;
use Illuminate\Support\Facades\Redis;
use RedisHa\Laravel\Tests\app\TestApplication;

require __DIR__ . '/../autoload.php';

// PHP's server hands the environment to getenv() only.
$_ENV = $_SERVER = getenv() + $_SERVER;
header('Content-Type: application/json');
try {
    TestApplication::boot();
    Cache::put('page', $_SERVER['REQUEST_URI'], 60);
    $visits = Redis::incr('visits');
    // What a request that is ended in the middle leaves on its connection.
    if (str_contains($_SERVER['REQUEST_URI'], 'careless')) {
        Redis::watch('visits');
        Redis::multi();
    }
    $began = hrtime(true);
    if (str_contains($_SERVER['REQUEST_URI'], 'read')) {
        Redis::get('visits');
    }
    echo json_encode(['visits' => $visits, 'process' => getmypid(), 'reading' => (hrtime(true) - $began) / 1e9]);
} catch (Throwable $error) {
    http_response_code(500);
    echo json_encode(['error' => $error::class, 'text' => $error->getMessage()]);
}
