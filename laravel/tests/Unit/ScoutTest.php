<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Tests\Unit;

use PHPUnit\Framework\TestCase;
use Redis;
use RedisException;
use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Link\Dialer;
use RedisHa\Laravel\Link\Scout;

final class ScoutTest extends TestCase
{
    public function testANodeThatDiesBetweenTwoQuestionsIsAProblemOfItsOwn(): void
    {
        $settings = SettingsTest::settings();
        $scout = new Scout(new Dialer($settings, static fn (array $config): Redis => self::dyingNode()), $settings);
        $node = new Address('10.0.0.1', 6379);
        self::assertSame('master', $scout->askNode($node)->role);
        self::assertSame(['role' => 'master'], $scout->figures($node, ['role', 'maxmemory']));
        self::assertSame(['problem' => 'read error on connection'], $scout->figures($node, ['role']));
    }

    /** Build a node that answers twice. */
    private static function dyingNode(): Redis
    {
        return new class () extends Redis {
            private int $answers = 2;

            public function setOption($option, $value): bool
            {
                return true;
            }

            public function rawCommand($command, ...$arguments): mixed
            {
                return $this->answers-- > 0
                    ? "role:master\r\nuptime_in_seconds:5\r\n"
                    : throw new RedisException('read error on connection');
            }
        };
    }
}
