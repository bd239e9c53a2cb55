<?php

declare(strict_types=1);

use Illuminate\Contracts\Console\Kernel;
use RedisHa\Laravel\Tests\app\TestApplication;
use Symfony\Component\Console\Input\ArgvInput;
use Symfony\Component\Console\Output\ConsoleOutput;

require __DIR__ . '/../autoload.php';

$kernel = TestApplication::boot()->make(Kernel::class);
exit($kernel->handle(new ArgvInput(), new ConsoleOutput()));
