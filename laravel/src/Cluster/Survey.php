<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Cluster;

/** What sentinels and data nodes said at one time, and what that means for an application. */
final class Survey
{
    /**
     * @param list<SentinelView> $sentinels
     * @param list<NodeView> $nodes
     */
    public function __construct(
        public readonly string $masterName,
        public readonly array $sentinels,
        public readonly array $nodes,
    ) {
    }

    public function master(): ?Address
    {
        return Mastership::decide(null, new Evidence($this->sentinels, $this->nodes))->master?->address;
    }

    /** @return 'healthy'|'degraded'|'down' */
    public function level(): string
    {
        return match (true) {
            $this->master() === null => 'down',
            $this->problems() !== [] => 'degraded',
            default => 'healthy',
        };
    }

    /** @return list<string> what is not as it should be */
    public function problems(): array
    {
        $problems = [];
        $verdict = Mastership::decide(null, new Evidence($this->sentinels, $this->nodes));
        if ($verdict->master === null) {
            $problems[] = "no master: {$verdict->reason}";
        }
        foreach ($this->sentinels as $view) {
            if ($view->problem !== '') {
                $problems[] = "sentinel {$view->sentinel}: {$view->problem}";
            }
        }
        foreach ($this->nodes as $view) {
            if ($view->role === null) {
                $problems[] = "node {$view->address}: {$view->problem}";
            } elseif ($view->role === 'slave' && ! $view->linkUp) {
                $problems[] = "replica {$view->address}: its link to the master is down";
            }
        }

        return $problems;
    }

    /** @return array<string, mixed> */
    public function toArray(): array
    {
        $master = $this->master();

        return [
            'master_name' => $this->masterName,
            'master' => $master === null ? null : (string) $master,
            'level' => $this->level(),
            'problems' => $this->problems(),
            'sentinels' => array_map(static fn (SentinelView $v): array => [
                'address' => (string) $v->sentinel,
                'names' => $v->master === null ? null : (string) $v->master,
                'problem' => $v->problem,
            ], $this->sentinels),
            'nodes' => array_map(static fn (NodeView $v): array => [
                'address' => (string) $v->address,
                'role' => $v->role,
                'offset' => $v->offset,
                'link_up' => $v->linkUp,
                'problem' => $v->problem,
            ], $this->nodes),
        ];
    }
}
