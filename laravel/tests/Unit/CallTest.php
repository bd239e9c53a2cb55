<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Tests\Unit;

use PHPUnit\Framework\TestCase;
use RedisException;
use RedisHa\Laravel\Errors\AccessDenied;
use RedisHa\Laravel\Errors\CallTimedOut;
use RedisHa\Laravel\Errors\NoMaster;
use RedisHa\Laravel\Errors\OutcomeUnknown;
use RedisHa\Laravel\Retry\Call;
use RedisHa\Laravel\Retry\Effect;
use RedisHa\Laravel\Retry\Meaning;

final class CallTest extends TestCase
{
    private const GONE = 'read error on connection to tls://127.0.0.1:6379';

    public function testARefusedWriteIsRepeated(): void
    {
        self::assertSame(Meaning::Refused, self::sent(1)->failed(new RedisException('READONLY You can\'t'), 1.0));
    }

    public function testAWriteThatMayHaveBeenAppliedIsNot(): void
    {
        $this->expectException(OutcomeUnknown::class);
        self::sent(1)->failed(new RedisException(self::GONE), 1.0);
    }

    public function testAnEarlierWriteOfTheSameCallCountsToo(): void
    {
        $this->expectException(OutcomeUnknown::class);
        self::sent(2)->failed(new RedisException('READONLY You can\'t'), 1.0);
    }

    public function testARefusedPipelineIsNotAsItsFirstPartMayHaveBeenApplied(): void
    {
        $call = self::sent(0);
        $call->sends(Effect::Parts);
        $this->expectException(OutcomeUnknown::class);
        $call->failed(new RedisException('READONLY You can\'t'), 1.0);
    }

    public function testNorIsARefusedPipelineDeclaredIdempotentForEver(): void
    {
        $call = new Call(10.0, 0.0, repeatable: true);
        foreach ([1, 2] as $attempt) {
            $call->begin();
            $call->sends(Effect::Parts);
            $refusal = new RedisException('NOREPLICAS Not enough good replicas to write.');
            self::assertSame(Meaning::Refused, $call->failed($refusal, 1.0), "attempt {$attempt}");
        }
        $call->begin();
        $call->sends(Effect::Parts);
        $this->expectException(OutcomeUnknown::class);
        $call->failed(new RedisException('READONLY You can\'t'), 1.0);
    }

    public function testARefusedTransactionIsRepeated(): void
    {
        $call = self::sent(0);
        $call->sends(Effect::None);
        $call->sends(Effect::Whole);
        $refusal = new RedisException('EXECABORT Transaction discarded because of: READONLY You can\'t');
        self::assertSame(Meaning::Refused, $call->failed($refusal, 1.0));
    }

    public function testWhatIsDeclaredIdempotentIsRepeatedTwiceAtMost(): void
    {
        $call = new Call(10.0, 0.0, repeatable: true);
        foreach ([1, 2] as $attempt) {
            $call->begin();
            $call->sends(Effect::Whole);
            self::assertSame(Meaning::Lost, $call->failed(new RedisException(self::GONE), 1.0), "attempt {$attempt}");
        }
        $call->begin();
        $call->sends(Effect::Whole);
        $this->expectException(OutcomeUnknown::class);
        $call->failed(new RedisException(self::GONE), 1.0);
    }

    public function testNothingIsRepeatedWhenTheTimeIsOver(): void
    {
        $this->expectException(CallTimedOut::class);
        self::sent(0)->failed(new RedisException(self::GONE), 10.0);
    }

    public function testWithoutAMasterItIsSaidWhetherWritesMayHaveBeenApplied(): void
    {
        $none = new NoMaster('find the master of', 'mymaster', 'nobody is', 'see status');
        $call = new Call(10.0, 0.0, repeatable: true);
        $call->begin();
        $call->sends(Effect::Whole);
        $call->failed(new RedisException(self::GONE), 1.0);
        $call->begin();
        try {
            $call->failed($none, 2.0);
            self::fail('tried without a master');
        } catch (OutcomeUnknown $error) {
            self::assertStringContainsString('may have been applied', $error->cause);
        }
        $this->expectExceptionObject($none);
        self::sent(0)->failed($none, 2.0);
    }

    public function testAMasterThatLacksReplicasIsAskedMoreAndMoreSeldomOverTheSameConnection(): void
    {
        $shortage = new RedisException('NOREPLICAS Not enough good replicas to write.');
        $call = self::sent(1);
        self::assertTrue($call->spares($shortage));
        self::assertFalse($call->spares(new RedisException('READONLY You can\'t')));
        self::assertSame(0.05, $call->pause(new RedisException(self::GONE)));
        $pauses = array_map(static fn (): float => $call->pause($shortage), range(1, 6));
        self::assertSame([0.05, 0.1, 0.2, 0.4, 0.5, 0.5], $pauses);
        $call->sends(Effect::Parts);
        self::assertFalse($call->spares($shortage), 'a pipeline may have replies that nobody read');
    }

    public function testADenialIsSaidAtOnce(): void
    {
        try {
            self::sent(0)->failed(new RedisException('WRONGPASS invalid username-password pair'), 1.0);
            self::fail('a denial was taken for something that passes');
        } catch (AccessDenied $error) {
            self::assertStringContainsString('REDIS_PASSWORD', $error->hint);
        }
    }

    public function testACallersErrorComesAsItIs(): void
    {
        $error = new RedisException('MISCONF Redis is configured to save');
        try {
            self::sent(1)->failed($error, 1.0);
            self::fail('an error of the caller\'s was repeated');
        } catch (RedisException $seen) {
            self::assertSame($error, $seen);
        }
    }

    public function testTheQueueWorkerDoesNotTakeOurMessagesForAReasonToEnd(): void
    {
        $detector = new class () {
            use \Illuminate\Database\DetectsLostConnections;

            public function ends(\Throwable $error): bool
            {
                return $this->causedByLostConnection($error);
            }
        };
        foreach (['Connection refused', 'Connection lost', 'SSL: Connection reset by peer', 'Connection timed out'] as $text) {
            try {
                self::sent(1)->failed(new RedisException($text), 1.0);
            } catch (OutcomeUnknown $error) {
                self::assertFalse($detector->ends($error), $error->getMessage());
                continue;
            }
            self::fail('repeated');
        }
    }

    private static function sent(int $writes): Call
    {
        $call = new Call(10.0, 0.0, repeatable: false);
        $call->begin();
        for ($n = 0; $n < $writes; $n++) {
            $call->sends(Effect::Whole);
        }

        return $call;
    }
}
