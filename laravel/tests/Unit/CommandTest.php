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

    public function testAWaitIsNeverRepeatedAsItsConnectionKnewWhatItAskedAbout(): void
    {
        self::assertFalse(Command::of('wait', [1, 100])->isRepeatable(['wait']));
        self::assertFalse(Command::of('rawCommand', ['WAITAOF', 1, 1, 100])->isRepeatable([]));
        self::assertFalse(Command::of('wait', [1, 100])->isRead());
    }

    public function testByItselfOnlyWhatAnswersTheSameIsRepeated(): void
    {
        $defaults = require __DIR__ . '/../../config/redis-ha.php';
        $telling = ['del', 'unlink', 'persist', 'hset', 'hdel', 'sadd', 'srem', 'zrem', 'zadd', 'incr', 'setnx'];
        self::assertSame([], array_intersect($defaults['repeatable'], $telling));
        self::assertTrue(Command::of('setex', ['k', 5, 'v'])->isRepeatable($defaults['repeatable']));
        self::assertTrue(Command::of('expire', ['k', 5])->isRepeatable($defaults['repeatable']));
        self::assertTrue(Command::of('zadd', ['k', [], 1, 'm'])->isRepeatable(['zadd']));
        self::assertFalse(Command::of('zadd', ['k', ['incr'], 1, 'm'])->isRepeatable(['zadd']));
        self::assertFalse(Command::of('expire', ['k', 5, 'nx'])->isRepeatable($defaults['repeatable']));
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
        self::assertSame(1.0, $command->blockingFor(1)->extraPatience(10.0));
        self::assertNull(Command::of('lpop', ['a'])->blocks());
        $several = Command::of('blmpop', [30, ['a', 'b'], 'LEFT', 2]);
        self::assertSame(30.0, $several->blocks());
        self::assertSame([1, ['a', 'b'], 'LEFT', 2], $several->blockingFor(1)->arguments);
        $raw = Command::of('rawCommand', ['BZMPOP', '2.5', '1', 'z', 'MIN']);
        self::assertSame(2.5, $raw->blocks());
        self::assertSame(['bzmpop', 1, '1', 'z', 'MIN'], $raw->blockingFor(1)->parameters());
    }

    public function testARawPopStaysRawInSlices(): void
    {
        $command = Command::of('rawCommand', ['BLPOP', 'q', '5']);
        self::assertSame(5.0, $command->blocks());
        self::assertSame('rawCommand', $command->blockingFor(1)->method());
        self::assertSame(['blpop', 'q', 1], $command->blockingFor(1)->parameters());
        self::assertSame('blpop', Command::of('BLPOP', [['q'], 5])->blockingFor(1)->method());
        self::assertSame([['q'], 1], Command::of('BLPOP', [['q'], 5])->blockingFor(1)->parameters());
    }

    public function testHowLongAStreamMayBeWaitedFor(): void
    {
        $group = ['XREADGROUP', 'GROUP', 'block', '0', 'COUNT', '2'];
        $reads = [
            'no block' => ['xread', [['s' => '$']], 0.0, false],
            'phpredis says none' => ['xread', [['s' => '$'], 1, -1], 0.0, false],
            '5 s' => ['xread', [['s' => '$'], 1, 5000], 5.0, false],
            'for ever' => ['xread', [['s' => '$'], 1, 0], 0.0, true],
            'group, 5 s' => ['xreadgroup', ['g', 'c', ['s' => '>'], 1, 5000], 5.0, false],
            'group, for ever' => ['xreadgroup', ['g', 'c', ['s' => '>'], 1, 0], 0.0, true],
            'raw, 5 s' => ['rawCommand', ['XREAD', 'COUNT', '1', 'block', '5000', 'STREAMS', 's', '$'], 5.0, false],
            'raw, for ever' => ['rawCommand', ['XREAD', 'BLOCK', '0', 'STREAMS', 's', '$'], 0.0, true],
            'raw, a stream of that name' => ['rawCommand', ['XREAD', 'STREAMS', 'block', '0'], 0.0, false],
            'raw group of that name' => ['rawCommand', [...$group, 'STREAMS', 's', '>'], 0.0, false],
            'raw group, 5 s' => ['rawCommand', [...$group, 'BLOCK', '5000', 'STREAMS', 's', '>'], 5.0, false],
            'raw group, for ever' => ['rawCommand', [...$group, 'BLOCK', '0', 'STREAMS', 's', '>'], 0.0, true],
            'replicas, for as long as a call lasts' => ['wait', [1, 0], 10.0, false],
            'raw, too' => ['rawCommand', ['WAITAOF', '1', '1', '0'], 10.0, false],
            'replicas, 5 s' => ['rawCommand', ['WAIT', '1', '5000'], 5.0, false],
        ];
        foreach ($reads as $case => [$name, $parameters, $more, $ever]) {
            $command = Command::of($name, $parameters);
            self::assertSame($more, $command->extraPatience(10.0), $case);
            self::assertSame($ever, $command->waitsForever(), $case);
        }
    }

    public function testACursorGoesBackToTheNodeThatGaveIt(): void
    {
        foreach (['scan', 'hscan', 'sscan', 'zscan'] as $name) {
            self::assertFalse(Command::of($name, [])->isRead());
            self::assertTrue(Command::of($name, [])->isRepeatable([]));
        }
    }

    public function testAReplicaServesReadsOnly(): void
    {
        self::assertTrue(Command::of('hgetall', ['k'])->isRead());
        self::assertFalse(Command::of('script', ['load', ''])->isRead());
        self::assertFalse(Command::of('script', ['flush'])->isHarmless());
    }
}
