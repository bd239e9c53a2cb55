<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Errors;

/** No master can be found now, and nothing of the call was applied: else it is an OutcomeUnknown. */
final class NoMaster extends RedisHaException
{
}
