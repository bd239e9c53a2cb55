<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Errors;

/** The connection that WATCH or MULTI was said on is gone: nothing of the transaction was applied. */
final class TransactionLost extends RedisHaException
{
}
