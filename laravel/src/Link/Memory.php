<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Cluster\Known;
use RedisHa\Laravel\Settings;

/**
 * The master that another process, or the request before, settled on: a file in the storage folder.
 *
 * With it a web request needs no sentinel: the node is only asked whether it still is that master.
 * What it holds is never trusted unseen; a file that can't be read or written is no error.
 */
final class Memory
{
    /** Seconds after which the sentinels are asked anew. */
    private const LASTS = 600;

    private readonly string $path;

    public function __construct(string $folder, Settings $settings)
    {
        $cluster = implode(' ', [$settings->masterName, ...$settings->sentinels]);
        $this->path = "{$folder}/redis-ha-" . hash('sha256', $cluster) . '.json';
    }

    public function recall(): ?Known
    {
        $age = time() - (int) @filemtime($this->path);
        $text = $age >= 0 && $age < self::LASTS ? @file_get_contents($this->path) : false;
        $found = json_decode((string) $text, true);
        if (! is_array($found) || ! isset($found['host'], $found['port'], $found['replid'], $found['epoch'])) {
            return null;
        }
        $address = new Address((string) $found['host'], (int) $found['port']);

        return new Known($address, (string) $found['replid'], (int) $found['epoch']);
    }

    public function keep(Known $known): void
    {
        $text = json_encode([
            'host' => $known->address->host,
            'port' => $known->address->port,
            'replid' => $known->replid,
            'epoch' => $known->epoch,
        ]);
        $temporary = "{$this->path}." . getmypid();
        if (@file_put_contents($temporary, $text) !== false) {
            @rename($temporary, $this->path);
        }
    }

    public function forget(): void
    {
        @unlink($this->path);
    }
}
