<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Cluster;

/** What a sentinel answers; master null when it gave no answer, and `problem` says why. */
final class SentinelView
{
    public const UNKNOWN_NAME = 'it knows no master of this name';

    /** @param list<Address> $replicas */
    public function __construct(
        public readonly Address $sentinel,
        public readonly ?Address $master = null,
        // Of the configuration that it holds for true; each failover has a higher one.
        public readonly int $epoch = 0,
        public readonly bool $failingOver = false,
        public readonly array $replicas = [],
        public readonly string $problem = '',
    ) {
    }

    /**
     * Read the flat replies of SENTINEL MASTER and SENTINEL REPLICAS.
     *
     * @param array<int, string> $master
     * @param array<int, array<int, string>> $replicas
     */
    public static function parse(Address $sentinel, array $master, array $replicas): self
    {
        $fields = self::pairs($master);
        $rows = array_map(self::pairs(...), $replicas);
        $listed = array_filter($rows, static fn (array $row): bool => (int) $row['port'] > 0);

        return new self(
            $sentinel,
            new Address($fields['ip'], (int) $fields['port']),
            (int) ($fields['config-epoch'] ?? 0),
            str_contains($fields['flags'] ?? '', 'failover_in_progress'),
            array_values(array_map(
                static fn (array $row): Address => new Address($row['ip'], (int) $row['port']),
                $listed,
            )),
        );
    }

    /**
     * @param array<int, string> $flat
     * @return array<string, string>
     */
    private static function pairs(array $flat): array
    {
        $pairs = [];
        foreach (array_chunk($flat, 2) as [$name, $value]) {
            $pairs[$name] = $value;
        }

        return $pairs;
    }
}
