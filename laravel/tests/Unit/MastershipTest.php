<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Tests\Unit;

use PHPUnit\Framework\TestCase;
use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Cluster\Evidence;
use RedisHa\Laravel\Cluster\Known;
use RedisHa\Laravel\Cluster\Mastership;
use RedisHa\Laravel\Cluster\NodeView;
use RedisHa\Laravel\Cluster\SentinelView;

final class MastershipTest extends TestCase
{
    public function testTheMajoritysMasterCountsWhenItSaysSo(): void
    {
        $verdict = Mastership::decide(null, self::evidence([1, 1, null], [self::master(1, 'a')]));

        self::assertSame('h:1', (string) $verdict->master?->address);
    }

    public function testOneSentinelIsNoMajority(): void
    {
        self::assertNull(Mastership::decide(null, self::evidence([1, null, null], [self::master(1, 'a')]))->master);
    }

    public function testAnHeirIsFoundBeforeAnySentinelAnswers(): void
    {
        $dead = new NodeView(self::address(1), problem: 'refused');
        $evidence = self::evidence([null, null, null], [$dead, self::master(2, 'b', 'a')], complete: false);

        self::assertSame('h:2', (string) Mastership::decide(new Known(self::address(1), 'a'), $evidence)->master?->address);
    }

    public function testACrashedMasterThatCameBackDoesNotCount(): void
    {
        $back = self::master(1, 'new', 'a');
        $evidence = self::evidence([2, 2, 2], [$back], epoch: 1);

        self::assertNull(Mastership::decide(new Known(self::address(1), 'a'), $evidence)->master);
    }

    public function testAReplicaThatWasToldToStopFollowingIsNoHeirWhileItsMasterLives(): void
    {
        $nodes = [self::master(1, 'a'), self::master(2, 'b', 'a')];
        $verdict = Mastership::decide(new Known(self::address(1), 'a'), self::evidence([1, 1, 1], $nodes));

        self::assertSame('h:1', (string) $verdict->master?->address);
    }

    public function testAReplicaNamedByTheSentinelsLeadsToItsMaster(): void
    {
        $old = new NodeView(self::address(1), 'slave', 'b', master: self::address(2));
        $verdict = Mastership::decide(null, self::evidence([1, 1, 1], [$old, self::master(2, 'b')]));

        self::assertSame('h:2', (string) $verdict->master?->address);
    }

    public function testTheEpochNeverGoesBack(): void
    {
        $known = new Known(self::address(1), 'a', 7);
        $verdict = Mastership::decide($known, self::evidence([1, 1, 1], [self::master(1, 'a')], epoch: 3));

        self::assertSame(7, $verdict->master?->epoch);
    }

    /**
     * @param list<?int> $named the port of the master that each sentinel names
     * @param list<NodeView> $nodes
     */
    private static function evidence(array $named, array $nodes, int $epoch = 0, bool $complete = true): Evidence
    {
        $sentinels = [];
        foreach ($named as $number => $port) {
            $master = $port === null ? null : self::address($port);
            $sentinels[] = new SentinelView(new Address('s', $number), $master, $epoch);
        }

        return new Evidence($sentinels, $nodes, $complete);
    }

    private static function master(int $port, string $replid, string $replid2 = ''): NodeView
    {
        return new NodeView(self::address($port), 'master', $replid, $replid2);
    }

    private static function address(int $port): Address
    {
        return new Address('h', $port);
    }
}
