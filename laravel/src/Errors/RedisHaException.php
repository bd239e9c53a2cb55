<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Errors;

use RedisException;
use Throwable;

/**
 * What was attempted, on what, why it failed and what to do; phpredis's own error is the previous.
 *
 * Every error of this package is one, and a RedisException, which applications catch already:
 * BadSetting, AccessDenied, NoMaster, CallTimedOut, OutcomeUnknown, TransactionLost.
 */
abstract class RedisHaException extends RedisException
{
    final public function __construct(
        public readonly string $operation,
        public readonly string $subject,
        public readonly string $cause,
        public readonly string $hint,
        ?Throwable $previous = null,
    ) {
        parent::__construct("{$operation} {$subject}: {$cause} ({$hint})", 0, $previous);
    }
}
