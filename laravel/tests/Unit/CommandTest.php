<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Tests\Unit;

use Illuminate\Queue\LuaScripts;
use PHPUnit\Framework\TestCase;
use RedisHa\Laravel\Retry\Command;

final class CommandTest extends TestCase
{
    private const LISTED = ['set', 'del', 'blpop'];

    public function testReadsAndListedWritesAreRepeatable(): void
    {
        self::assertTrue(Command::of('get', ['k'])->isRepeatable([]));
        self::assertTrue(Command::of('set', ['k', 'NX'])->isRepeatable(self::LISTED));
        self::assertFalse(Command::of('incr', ['k'])->isRepeatable(self::LISTED));
        self::assertFalse(Command::of('set', ['k', 'v'])->isRepeatable([]));
    }

    public function testASetThatDependsOnWhatWasThereIsNot(): void
    {
        self::assertFalse(Command::of('set', ['k', 'v', ['nx', 'ex' => 5]])->isRepeatable(self::LISTED));
        self::assertFalse(Command::of('rawCommand', ['SET', 'k', 'v', 'GET'])->isRepeatable(self::LISTED));
    }

    public function testTheQueuesPopIsAndItsPushIsNot(): void
    {
        self::assertTrue(Command::of('eval', [LuaScripts::pop(), ['q'], 3])->isRepeatable([]));
        self::assertFalse(Command::of('eval', [LuaScripts::push(), ['q'], 2])->isRepeatable([]));
    }

    public function testABlockingPopIsCutIntoSlices(): void
    {
        $command = Command::of('blpop', [['a', 'b'], 30]);
        self::assertSame(30.0, $command->blocks());
        self::assertSame([['a', 'b'], 1], $command->blockingFor(1)->arguments);
        self::assertSame(1.0, $command->blockingFor(1)->extraPatience());
        self::assertNull(Command::of('lpop', ['a'])->blocks());
    }

    public function testAReplicaServesReadsOnly(): void
    {
        self::assertTrue(Command::of('hgetall', ['k'])->isRead());
        self::assertFalse(Command::of('script', ['load', ''])->isRead());
        self::assertFalse(Command::of('script', ['flush'])->isHarmless());
    }
}
