<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Errors;

/** The connection broke after a write was sent: it may have been applied. */
final class OutcomeUnknown extends RedisHaException
{
}
