<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use Redis;
use RedisException;
use RedisHa\Laravel\Retry\Command;
use RedisHa\Laravel\Retry\Meaning;

/** Refusals of which phpredis only returns false: of BLPOP, ZPOPMIN, SPOP, XREADGROUP, of EXEC. */
final class Silence
{
    /** See to it that an error that is there afterwards is this command's, or of one between MULTI and EXEC. */
    public static function forget(Redis $client, Command $command): void
    {
        $error = self::error($client);
        $isIts = $command->name === 'multi' || $command->blocks() !== null;
        if ($error !== null && ($isIts || Meaning::of($error) === Meaning::Refused)) {
            $client->clearLastError();
        }
    }

    /** Throw the refusal behind a reply, if there is one. */
    public static function end(Redis $client, Command $command, int $mode, mixed $reply, Tie $tie): void
    {
        if ($reply !== false && $mode !== Redis::PIPELINE) {
            return;
        }
        $error = self::error($client);
        if ($error !== null && Meaning::of($error) === Meaning::Refused) {
            throw new RedisException($error);
        }
        if ($error === null && $tie->isRefusal($command, $mode, $reply)) {
            throw new RedisException(Meaning::UNTOLD);
        }
    }

    public static function error(Redis $client): ?string
    {
        try {
            return $client->getLastError() ?: null;
        } catch (RedisException) {
            // Not connected: the command itself will say so.
            return null;
        }
    }
}
