<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Retry;

/** What something that is sent may change at the server. */
enum Effect
{
    /** Nothing: it reads, or it is only queued for EXEC. */
    case None;
    /** It is applied or refused as a whole: a command, a transaction. */
    case Whole;
    /**
     * What stands before a refusal was applied: a pipeline, whatever phpredis's own object is told.
     * phpredis throws one error for a pipeline and keeps to itself which commands it is about.
     */
    case Parts;

    /** Say whether something may have been applied when this error came back. */
    public function mayBeApplied(Meaning $error): bool
    {
        return match ($this) {
            self::None => false,
            self::Whole => $error !== Meaning::Refused,
            self::Parts => true,
        };
    }
}
