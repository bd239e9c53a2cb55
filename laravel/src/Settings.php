<?php

declare(strict_types=1);

namespace RedisHa\Laravel;

use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Errors\BadSetting;

/** How a connection reaches its cluster, read once from the configuration; times in seconds. */
final class Settings
{
    /**
     * @param list<Address> $sentinels
     * @param list<string> $repeatable commands in lower case
     */
    private function __construct(
        public readonly array $sentinels,
        public readonly string $masterName,
        public readonly string $username,
        public readonly string $password,
        public readonly string $ca,
        public readonly ?string $hostOverride,
        public readonly float $timeout,
        public readonly float $connectTimeout,
        public readonly float $readTimeout,
        public readonly float $subscriptionSilence,
        public readonly bool $readSplit,
        public readonly float $maxLag,
        public readonly bool $persistent,
        public readonly int $maxConnections,
        public readonly array $repeatable,
    ) {
    }

    /**
     * Read `options.sentinel` laid over the package's defaults; raises BadSetting.
     *
     * @param array<string, mixed> $values
     */
    public static function parse(array $values): self
    {
        $pool = self::integer($values, 'pool_size', 'REDIS_POOL_SIZE', 0);
        $most = self::integer($values, 'max_connections', 'REDIS_MAX_CONNECTIONS', 1);
        if (self::integer($values, 'min_connections', 'REDIS_MIN_CONNECTIONS', 0) > $most || $pool > $most) {
            throw self::unusable('REDIS_MIN_CONNECTIONS, REDIS_POOL_SIZE, REDIS_MAX_CONNECTIONS', 'they don\'t ascend');
        }
        $override = $values['host_override'] ?? null;

        return new self(
            self::sentinels($values['service'] ?? []),
            self::text($values, 'master_name', 'REDIS_SENTINEL_MASTER'),
            self::text($values, 'username', 'REDIS_USERNAME'),
            self::text($values, 'password', 'REDIS_PASSWORD'),
            self::file($values, 'tls_ca', 'REDIS_TLS_CA'),
            is_string($override) && $override !== '' ? $override : null,
            self::seconds($values, 'timeout', 'REDIS_CALL_TIMEOUT'),
            self::seconds($values, 'connect_timeout', 'REDIS_CONNECT_TIMEOUT'),
            self::seconds($values, 'read_timeout', 'REDIS_READ_TIMEOUT'),
            self::seconds($values, 'subscription_silence', 'REDIS_SUBSCRIPTION_SILENCE'),
            filter_var($values['read_split'] ?? false, FILTER_VALIDATE_BOOL),
            self::seconds($values, 'max_lag', 'REDIS_MAX_LAG'),
            $pool > 0,
            $most,
            array_map('strtolower', [
                ...array_values($values['repeatable'] ?? []),
                ...array_values($values['also_repeatable'] ?? []),
            ]),
        );
    }

    /** Say where this machine reaches a node. */
    public function locate(Address $address): Address
    {
        return new Address($this->hostOverride ?? $address->host, $address->port);
    }

    /** @return list<Address> */
    private static function sentinels(mixed $service): array
    {
        $found = [];
        foreach (is_array($service) ? $service : [] as $entry) {
            if (is_string($entry)) {
                [$host, $port] = explode(':', $entry, 2) + [1 => '26379'];
                $entry = ['host' => $host, 'port' => $port];
            }
            if (empty($entry['host'])) {
                continue;
            }
            $number = count($found) + 1;
            $port = self::integer($entry + ['port' => 26379], 'port', "REDIS_SENTINEL_PORT_{$number}", 1);
            $found[] = new Address((string) $entry['host'], $port);
        }
        if ($found === []) {
            throw self::unusable('REDIS_SENTINEL_HOST_1', 'no sentinel is set');
        }

        return $found;
    }

    /** @param array<string, mixed> $values */
    private static function text(array $values, string $key, string $variable): string
    {
        $value = $values[$key] ?? null;
        if (! is_string($value) || $value === '') {
            throw self::unusable($variable, 'it is not set');
        }

        return $value;
    }

    /** @param array<string, mixed> $values */
    private static function file(array $values, string $key, string $variable): string
    {
        $path = self::text($values, $key, $variable);
        if (! is_readable($path)) {
            throw self::unusable($variable, "{$path} can't be read");
        }

        return $path;
    }

    /** @param array<string, mixed> $values */
    private static function seconds(array $values, string $key, string $variable): float
    {
        $value = $values[$key] ?? null;
        if (! is_numeric($value) || (float) $value <= 0) {
            throw self::unusable($variable, var_export($value, true) . ' is not a number of seconds above 0');
        }

        return (float) $value;
    }

    /** @param array<string, mixed> $values */
    private static function integer(array $values, string $key, string $variable, int $least): int
    {
        $value = filter_var($values[$key] ?? null, FILTER_VALIDATE_INT);
        if ($value === false || $value < $least) {
            $given = var_export($values[$key] ?? null, true);
            throw self::unusable($variable, "{$given} is not a whole number from {$least} on");
        }

        return $value;
    }

    private static function unusable(string $variable, string $cause): BadSetting
    {
        return new BadSetting(
            'read setting',
            $variable,
            $cause,
            'set it in .env; `redis-ha env --laravel` prints the lines, then `php artisan config:clear`',
        );
    }
}
