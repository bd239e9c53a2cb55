<?php

declare(strict_types=1);

// What `php artisan config:cache` takes the configuration from.
return RedisHa\Laravel\Tests\app\TestApplication::boot();
