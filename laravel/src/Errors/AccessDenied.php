<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Errors;

/** User, password, ACL rights or certificate won't do; the command was not applied. */
final class AccessDenied extends RedisHaException
{
}
