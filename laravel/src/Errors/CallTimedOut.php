<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Errors;

/** The call's time is over; the hint says whether writes may have been applied. */
final class CallTimedOut extends RedisHaException
{
}
