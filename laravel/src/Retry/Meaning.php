<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Retry;

/** What an error says of the attempt that it ended. */
enum Meaning: string
{
    /** Not applied, and the node or the moment is wrong: look for the master, try again. */
    case Refused = 'refused';
    /** The connection broke or could not be made: look for the master. */
    case Lost = 'lost';
    /** User, rights or certificate: trying again won't help. */
    case Denied = 'denied';
    /** The caller's own business: a wrong type, a syntax error. */
    case Callers = 'callers';

    /** Said in the place of phpredis, which does not hand on why EXEC was refused. */
    public const UNTOLD = 'EXECABORT Transaction discarded because of: REFUSAL';

    private const REFUSALS = '/^(READONLY|LOADING|MASTERDOWN|NOREPLICAS|UNBLOCKED)\b/';
    private const DISCARDED = '/^EXECABORT .*because of: (READONLY|LOADING|MASTERDOWN|NOREPLICAS|REFUSAL)\b/';
    private const DENIALS = '/^(WRONGPASS|NOAUTH|NOPERM)\b|certificate verify failed/';
    // Any other error code of a server: a word in capitals.
    private const CODE = '/^[A-Z]{3,} /';

    /** Say whether a master without enough replicas refused: nothing is wrong with the connection to it. */
    public static function isShortage(string $message): bool
    {
        return str_starts_with($message, 'NOREPLICAS');
    }

    /** Read a phpredis message: the server's error, or what befell the connection. */
    public static function of(string $message): self
    {
        return match (true) {
            preg_match(self::DENIALS, $message) === 1 => self::Denied,
            preg_match(self::REFUSALS, $message) === 1,
            preg_match(self::DISCARDED, $message) === 1 => self::Refused,
            preg_match(self::CODE, $message) === 1 && ! str_starts_with($message, 'SSL ') => self::Callers,
            default => self::Lost,
        };
    }
}
