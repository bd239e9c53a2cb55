<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Errors;

/** A setting or an argument is missing or wrong; the subject names it. */
final class BadSetting extends RedisHaException
{
}
