<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Cluster;

/** What a data node says of itself; role null when it gave no answer, and `problem` says why. */
final class NodeView
{
    public function __construct(
        public readonly Address $address,
        public readonly ?string $role = null,
        public readonly string $replid = '',
        public readonly string $replid2 = '',
        // Bytes produced by a master, applied by a replica.
        public readonly int $offset = 0,
        public readonly ?Address $master = null,
        public readonly bool $syncing = false,
        public readonly bool $linkUp = false,
        public readonly string $problem = '',
    ) {
    }

    /** Read the text of INFO replication. */
    public static function parse(Address $address, string $info): self
    {
        $fields = self::fields($info);
        $master = isset($fields['master_host'], $fields['master_port'])
            ? new Address($fields['master_host'], (int) $fields['master_port'])
            : null;

        return new self(
            $address,
            $fields['role'] ?? null,
            $fields['master_replid'] ?? '',
            $fields['master_replid2'] ?? '',
            (int) ($fields['slave_repl_offset'] ?? $fields['master_repl_offset'] ?? 0),
            $master,
            ($fields['master_sync_in_progress'] ?? '0') === '1',
            ($fields['master_link_status'] ?? '') === 'up',
        );
    }

    /** @return array<string, string> */
    public static function fields(string $info): array
    {
        preg_match_all('/^([a-z0-9_]+):(.*?)\r?$/m', $info, $found);

        return array_combine($found[1], $found[2]);
    }

    public function isMaster(): bool
    {
        return $this->role === 'master';
    }
}
