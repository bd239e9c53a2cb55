<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use Closure;
use Redis;
use RedisException;
use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Settings;

/** Opens connections to nodes and sentinels: TLS, the ACL user, no reconnection behind our back. */
final class Dialer
{
    /**
     * @param Closure(array<string, mixed>): Redis $create as PhpRedisConnector::createClient
     * @param array<string, mixed> $options Laravel's own for this connection (database, prefix, ...)
     */
    public function __construct(
        private readonly Settings $settings,
        private readonly Closure $create,
        private readonly array $options = [],
    ) {
    }

    /** Open a connection for the application; throws RedisException. */
    public function forApplication(Address $address): Redis
    {
        $timing = ['timeout' => $this->settings->connectTimeout, 'read_timeout' => $this->settings->readTimeout];
        $pool = ['persistent' => $this->settings->persistent, 'persistent_id' => $this->identity()];

        // Always: Laravel selects none where none is set, and phpredis keeps the connections to a node in one
        // pool, whatever their ids, unless php.ini says redis.pconnect.pool_pattern. To set that here is no
        // use: PHP takes it back before phpredis takes back the connections of a request that ends.
        $client = $this->dial($address, [...$this->options, ...$timing, ...$pool, 'database' => $this->database()]);
        // So that the kernel ends a subscription, which sends nothing itself, to a host that is lost.
        $client->setOption(Redis::OPT_TCP_KEEPALIVE, 1);

        return $client;
    }

    /** Return the database on which a new connection stands. */
    public function database(): int
    {
        return (int) ($this->options['database'] ?? 0);
    }

    /** Open a connection to ask questions over; throws RedisException. */
    public function forQuestions(Address $address, float $patience): Redis
    {
        return $this->dial($address, ['timeout' => $patience, 'read_timeout' => $patience, 'persistent' => false]);
    }

    /** @param array<string, mixed> $options */
    private function dial(Address $address, array $options): Redis
    {
        $place = $this->settings->locate($address);
        $tls = ['cafile' => $this->settings->ca, 'verify_peer' => true, 'verify_peer_name' => true,
            'peer_name' => $place->host, 'SNI_enabled' => false];
        $warnings = [];
        // The reason of a failed handshake is in a warning only, which Laravel would throw.
        set_error_handler(static function (int $level, string $message) use (&$warnings): bool {
            $warnings[] = $message;

            return true;
        });
        try {
            $client = ($this->create)([
                ...$options,
                'host' => "tls://{$place->host}",
                'port' => $place->port,
                // Laravel 8 knows no user names, but hands this on to AUTH as it is.
                'password' => [$this->settings->username, $this->settings->password],
                'context' => ['stream' => $tls],
            ]);
        } catch (RedisException $error) {
            throw $this->explained($error, $warnings);
        } finally {
            restore_error_handler();
        }
        $client->setOption(Redis::OPT_MAX_RETRIES, 0);

        return $client;
    }

    /** @param list<string> $warnings */
    private function explained(RedisException $error, array $warnings): RedisException
    {
        foreach ($warnings as $warning) {
            if (str_contains($warning, 'certificate verify failed') || str_contains($warning, 'Peer certificate')) {
                return new RedisException("certificate verify failed: {$warning}", 0, $error);
            }
        }

        return $error;
    }

    private function identity(): string
    {
        return "redis-ha:{$this->settings->masterName}:{$this->settings->username}:{$this->database()}";
    }
}
