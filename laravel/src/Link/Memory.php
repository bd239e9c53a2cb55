<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Cluster\Known;
use RedisHa\Laravel\Settings;

/**
 * The master that another process, or the request before, settled on, and the nodes beside it: a file in
 * the storage folder; and who didn't answer: another one.
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
        $found = $this->found();
        if (! is_array($found) || ! isset($found['host'], $found['port'], $found['replid'], $found['epoch'])) {
            return null;
        }
        $address = new Address((string) $found['host'], (int) $found['port']);

        return new Known($address, (string) $found['replid'], (int) $found['epoch']);
    }

    /** @return list<Address> the data nodes that were known then */
    public function nodes(): array
    {
        $nodes = [];
        $found = $this->found()['nodes'] ?? null;
        foreach (is_array($found) ? $found : [] as $node) {
            if (is_array($node) && isset($node[0], $node[1])) {
                $nodes[] = new Address((string) $node[0], (int) $node[1]);
            }
        }

        return $nodes;
    }

    /** @param list<Address> $nodes */
    public function keep(Known $known, array $nodes = []): void
    {
        self::write($this->path, [
            'host' => $known->address->host,
            'port' => $known->address->port,
            'replid' => $known->replid,
            'epoch' => $known->epoch,
            'nodes' => array_map(static fn (Address $a): array => [$a->host, $a->port], $nodes),
        ]);
    }

    /** @return array<string, float> for how many seconds more each of these is left alone, by address */
    public function silent(float $most): array
    {
        $found = json_decode((string) @file_get_contents("{$this->path}.silent"), true);
        $left = [];
        foreach (is_array($found) ? $found : [] as $address => $until) {
            $seconds = (float) $until - microtime(true);
            // What lies farther ahead is from before the clock was set back.
            if ($seconds > 0 && $seconds <= $most) {
                $left[(string) $address] = $seconds;
            }
        }

        return $left;
    }

    /** @param array<string, float> $left as `silent` returns them */
    public function keepSilent(array $left): void
    {
        $now = microtime(true);
        self::write("{$this->path}.silent", array_map(static fn (float $seconds): float => $now + $seconds, $left));
    }

    public function forget(): void
    {
        @unlink($this->path);
    }

    private function found(): mixed
    {
        $age = time() - (int) @filemtime($this->path);
        $text = $age >= 0 && $age < self::LASTS ? @file_get_contents($this->path) : false;

        return json_decode((string) $text, true);
    }

    /** @param array<int|string, mixed> $document */
    private static function write(string $path, array $document): void
    {
        $temporary = "{$path}." . getmypid();
        if (@file_put_contents($temporary, json_encode($document)) !== false) {
            @rename($temporary, $path);
        }
    }
}
