<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Tests\app;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;

/** A job that leaves its number in a file. */
final class RecordJob implements ShouldQueue
{
    use Dispatchable;
    use InteractsWithQueue;
    use Queueable;

    public function __construct(private readonly string $file, private readonly string $number)
    {
    }

    public function handle(): void
    {
        file_put_contents($this->file, "{$this->number}\n", FILE_APPEND);
    }
}
