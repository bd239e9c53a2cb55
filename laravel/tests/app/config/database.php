<?php

declare(strict_types=1);

$user = ['username' => env('REDIS_USERNAME'), 'password' => env('REDIS_PASSWORD'), 'database' => 0];
// Stock Laravel: one address. Laravel 8 sends no user name, so the pair is in the password.
$stock = [
    'host' => env('REDIS_HOST', '127.0.0.1'),
    'port' => env('REDIS_PORT'),
    'password' => [env('REDIS_USERNAME'), env('REDIS_PASSWORD')],
    'database' => 0,
    'scheme' => 'tls',
    'context' => ['stream' => ['cafile' => env('REDIS_TLS_CA')]],
    'timeout' => 2.0,
    'read_timeout' => 5.0,
];
$node = getenv('TEST_APP_STOCK') ? $stock : $user;

return [
    'default' => 'none',
    'connections' => [],
    'redis' => [
        'client' => env('REDIS_CLIENT', 'phpredis'),
        'options' => [
            'prefix' => 'test:',
            'sentinel' => [
                'enabled' => env('REDIS_SENTINEL_ENABLED'),
                'master_name' => env('REDIS_SENTINEL_MASTER', 'mymaster'),
                'service' => [
                    ['host' => env('REDIS_SENTINEL_HOST_1'), 'port' => env('REDIS_SENTINEL_PORT_1')],
                    ['host' => env('REDIS_SENTINEL_HOST_2'), 'port' => env('REDIS_SENTINEL_PORT_2')],
                    ['host' => env('REDIS_SENTINEL_HOST_3'), 'port' => env('REDIS_SENTINEL_PORT_3')],
                ],
            ],
        ],
        'default' => $node,
        // A cache doesn't mind that a repeated DEL says 0.
        'cache' => $node + ['options' => ['sentinel' => ['also_repeatable' => ['del']]]],
    ],
];
