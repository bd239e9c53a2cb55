<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use Closure;

/**
 * Keeps PHP's warnings about a broken TLS stream from Laravel, which would throw them.
 *
 * phpredis says the same with a RedisException, which is what failovers are recognised by. Any
 * other warning goes where it went before.
 */
final class Hush
{
    /**
     * @template T
     * @param Closure(): T $act
     * @return T
     */
    public static function around(Closure $act): mixed
    {
        $previous = null;
        $previous = set_error_handler(
            static function (int $level, string $message, mixed ...$place) use (&$previous): bool {
                $ours = str_starts_with($message, 'Redis::') && ($level & (E_WARNING | E_NOTICE)) !== 0;
                if ($ours) {
                    return true;
                }

                return $previous !== null && $previous($level, $message, ...$place) !== false;
            },
        );
        try {
            return $act();
        } finally {
            restore_error_handler();
        }
    }
}
