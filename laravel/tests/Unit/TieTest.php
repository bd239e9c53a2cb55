<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Tests\Unit;

use PHPUnit\Framework\TestCase;
use Redis;
use RedisHa\Laravel\Link\Tie;
use RedisHa\Laravel\Retry\Command;
use RedisHa\Laravel\Retry\Effect;

final class TieTest extends TestCase
{
    private const BOTH = Redis::MULTI | Redis::PIPELINE;

    public function testAWatchHoldsUntilWhatEndsItAtTheServer(): void
    {
        foreach (['unwatch' => Redis::ATOMIC, 'exec' => Redis::MULTI, 'discard' => Redis::MULTI] as $end => $mode) {
            $tie = self::watching();
            self::said($tie, 'get', ['k']);
            self::said($tie, 'watch', ['other']);
            self::assertTrue($tie->holds(Redis::ATOMIC), $end);
            self::said($tie, $end, [], $mode, Redis::ATOMIC);
            self::assertFalse($tie->holds(Redis::ATOMIC), $end);
        }
    }

    public function testWhatEndsNothingAtTheServerDoesNotEndIt(): void
    {
        $tie = self::watching();
        // Without MULTI phpredis sends neither.
        self::said($tie, 'exec', [], reply: null);
        self::said($tie, 'discard', [], reply: false);
        self::said($tie, 'rawCommand', ['EXEC'], reply: false);
        // Queued or only gathered.
        self::said($tie, 'unwatch', [], Redis::MULTI, Redis::MULTI);
        self::said($tie, 'exec', [], Redis::PIPELINE, Redis::ATOMIC);
        self::said($tie, 'exec', [], self::BOTH, Redis::PIPELINE);
        self::assertTrue($tie->holds(Redis::ATOMIC));
    }

    public function testAWatchThatTheServerRefusedDoesNotHold(): void
    {
        $tie = new Tie();
        self::said($tie, 'watch', ['k'], reply: false);
        self::assertFalse($tie->holds(Redis::ATOMIC));
        self::said($tie, 'rawCommand', ['WATCH', 'k']);
        self::assertTrue($tie->holds(Redis::ATOMIC));
    }

    public function testAnExecAtPhpredisOwnObjectEndsIt(): void
    {
        $tie = self::watching();
        self::said($tie, 'multi', [], Redis::ATOMIC, Redis::MULTI);
        self::assertTrue($tie->holds(Redis::MULTI));
        self::assertFalse($tie->holds(Redis::ATOMIC));
    }

    public function testARawMultiHoldsToo(): void
    {
        $tie = new Tie();
        self::said($tie, 'rawCommand', ['MULTI']);
        self::assertTrue($tie->holds(Redis::ATOMIC));
        self::assertSame(Effect::None, $tie->effect(Command::of('incr', ['k']), Redis::ATOMIC));
        self::assertSame(Effect::Whole, $tie->effect(Command::of('rawCommand', ['EXEC']), Redis::ATOMIC));
        self::said($tie, 'rawCommand', ['EXEC'], reply: [1]);
        self::assertFalse($tie->holds(Redis::ATOMIC));
        self::said($tie, 'rawCommand', ['MULTI'], reply: false);
        self::assertFalse($tie->holds(Redis::ATOMIC));
    }

    public function testWhatIsQueuedChangesNothingBeforeExec(): void
    {
        $tie = new Tie();
        $incr = Command::of('incr', ['k']);
        $exec = Command::of('exec', []);
        self::assertSame(Effect::Whole, $tie->effect($incr, Redis::ATOMIC));
        self::assertSame(Effect::None, $tie->effect(Command::of('get', ['k']), Redis::ATOMIC));
        self::assertSame(Effect::None, $tie->effect(Command::of('multi', []), Redis::ATOMIC));
        foreach ([Redis::MULTI, Redis::PIPELINE, self::BOTH] as $mode) {
            self::assertSame(Effect::None, $tie->effect($incr, $mode));
        }
        self::assertSame(Effect::Whole, $tie->effect($exec, Redis::MULTI));
        self::assertSame(Effect::Parts, $tie->effect($exec, Redis::PIPELINE));
        self::assertSame(Effect::None, $tie->effect($exec, self::BOTH));
    }

    private static function watching(): Tie
    {
        $tie = new Tie();
        self::said($tie, 'watch', ['k']);

        return $tie;
    }

    /** @param array<int, mixed> $parameters */
    private static function said(
        Tie $tie,
        string $method,
        array $parameters,
        int $before = Redis::ATOMIC,
        int $after = Redis::ATOMIC,
        mixed $reply = true,
    ): void {
        $tie->note(Command::of($method, $parameters), $before, $after, $reply);
    }
}
