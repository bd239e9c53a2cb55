<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Tests\app;

use Illuminate\Contracts\Console\Kernel as KernelContract;
use Illuminate\Contracts\Debug\ExceptionHandler as HandlerContract;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Console\Kernel;
use Illuminate\Foundation\Exceptions\Handler;
use Illuminate\Support\Facades\Facade;

/** A small Laravel application on Debian's framework, in the folder that TEST_APP_STORAGE names. */
final class TestApplication
{
    /** @param array<string, mixed> $config laid over the configuration files, by dotted name */
    public static function boot(array $config = []): Application
    {
        $app = new Application(__DIR__);
        $storage = (string) getenv('TEST_APP_STORAGE');
        foreach (['logs', 'framework/cache', 'framework/sessions', 'framework/views', 'bootstrap'] as $folder) {
            if (! is_dir("{$storage}/{$folder}")) {
                mkdir("{$storage}/{$folder}", recursive: true);
            }
        }
        $app->useStoragePath($storage);
        foreach (['SERVICES', 'PACKAGES', 'CONFIG', 'ROUTES', 'EVENTS'] as $cache) {
            $_ENV["APP_{$cache}_CACHE"] = $_SERVER["APP_{$cache}_CACHE"] = "{$storage}/bootstrap/{$cache}.php";
        }
        $app->singleton(KernelContract::class, Kernel::class);
        $app->singleton(HandlerContract::class, Handler::class);
        Facade::clearResolvedInstances();
        $app->afterBootstrapping(
            \Illuminate\Foundation\Bootstrap\LoadConfiguration::class,
            static fn (Application $app): mixed => $app->make('config')->set($config),
        );
        $app->make(KernelContract::class)->bootstrap();

        return $app;
    }
}
