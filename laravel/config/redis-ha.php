<?php

declare(strict_types=1);

/*
 * Defaults of a connection whose `options.sentinel.enabled` is true in config/database.php; what
 * stands there wins. Times in seconds.
 */
return [
    'enabled' => env('REDIS_SENTINEL_ENABLED', false),
    'master_name' => env('REDIS_SENTINEL_MASTER', 'mymaster'),
    'service' => array_map(
        static fn (int $n): array => [
            'host' => env("REDIS_SENTINEL_HOST_{$n}"),
            'port' => env("REDIS_SENTINEL_PORT_{$n}", 26379),
        ],
        range(1, 9),
    ),
    'username' => env('REDIS_USERNAME'),
    'password' => env('REDIS_PASSWORD'),
    'tls_ca' => env('REDIS_TLS_CA'),
    // Reach every node at this host, under its own port, where the containers' network is not routed.
    'host_override' => env('REDIS_HOST_OVERRIDE'),

    // What a call may last, the search for a new master included.
    'timeout' => env('REDIS_CALL_TIMEOUT', 10.0),
    'connect_timeout' => env('REDIS_CONNECT_TIMEOUT', 1.0),
    // A reply that takes longer makes the client look whether the node still is the master. A
    // blocking pop waits in slices, so that this does not limit how long it may block.
    'read_timeout' => env('REDIS_READ_TIMEOUT', 2.0),
    // A subscription that hears nothing for so long is made anew, as the node may hang or be gone; what is
    // published just then is not heard.
    'subscription_silence' => env('REDIS_SUBSCRIPTION_SILENCE', 60.0),

    // Send commands that read to a replica, when its data is certainly not older than `max_lag`. SCAN
    // and its kin stay at the master: a cursor means something only to the node that gave it.
    'read_split' => env('REDIS_READ_SPLIT', false),
    'max_lag' => env('REDIS_MAX_LAG', 5.0),

    // A PHP process runs one request at a time: it keeps its connections open between requests
    // (persistent) unless pool_size is 0, and never holds more than max_connections to a node. It
    // can't open connections ahead: min_connections is read so that one env file fits all clients.
    'pool_size' => env('REDIS_POOL_SIZE', 10),
    'max_connections' => env('REDIS_MAX_CONNECTIONS', 50),
    'min_connections' => env('REDIS_MIN_CONNECTIONS', 5),

    // Facade, cache and session commands that may be sent again although the first may have been
    // applied: the second leaves the same data and has the same reply. A blocking pop is among them: an
    // element whose reply was lost is gone either way, and the next one is not the same. What another
    // client wrote in between is written over. [] repeats only reads and the queue worker's own scripts.
    'repeatable' => [
        'set', 'setex', 'psetex', 'mset', 'hmset', 'expire', 'pexpire', 'expireat', 'pexpireat',
        'blpop', 'brpop', 'bzpopmin', 'bzpopmax',
    ],
    // More of them, for a connection where nobody minds the reply: a repeated DEL, HDEL, SADD, SREM or
    // ZREM leaves the same data, and says 0 of what the first one did. Cache and sessions want 'del'.
    'also_repeatable' => [],

    // The command of redis-ha that `php artisan redis:ha failover` runs.
    'command' => env('REDIS_HA_COMMAND', 'redis-ha'),
    // Who may pause writes and ask for a failover, which the application's own user may not.
    'operator' => [
        'username' => env('REDIS_OPERATOR_USERNAME'),
        'password' => env('REDIS_OPERATOR_PASSWORD'),
    ],
];
