<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Tests\Unit;

use PHPUnit\Framework\TestCase;
use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Cluster\Freshness;
use RedisHa\Laravel\Cluster\NodeView;

final class FreshnessTest extends TestCase
{
    public function testAReplicaIsAsFreshAsTheLastOffsetThatItReached(): void
    {
        $freshness = new Freshness();
        foreach ([[1.0, 100], [2.0, 200], [3.0, 300]] as [$now, $offset]) {
            $freshness->mark($now, self::view('master', 'a', $offset));
        }

        self::assertSame(2.0, $freshness->freshAt(self::view('slave', 'a', 250)));
        self::assertNull($freshness->freshAt(self::view('slave', 'a', 50)));
        self::assertNull($freshness->freshAt(self::view('slave', 'b', 250)), 'another history');
        self::assertNull($freshness->freshAt(self::view('master', 'a', 250)));
    }

    private static function view(string $role, string $replid, int $offset): NodeView
    {
        return new NodeView(new Address('h', 1), $role, $replid, offset: $offset);
    }
}
