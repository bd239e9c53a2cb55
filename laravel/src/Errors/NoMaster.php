<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Errors;

/** No master can be found now; the command was not applied. */
final class NoMaster extends RedisHaException
{
}
