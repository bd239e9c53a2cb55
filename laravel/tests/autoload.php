<?php

declare(strict_types=1);

// Debian's packages hold Laravel without composer: this stands in for composer's autoloader.
require_once 'Illuminate/autoload.php';
// Unless composer installed the package.
if (is_file(__DIR__ . '/app/vendor/autoload.php')) {
    require_once __DIR__ . '/app/vendor/autoload.php';
}

spl_autoload_register(static function (string $class): void {
    $places = ['RedisHa\\Laravel\\Tests\\' => __DIR__ . '/', 'RedisHa\\Laravel\\' => __DIR__ . '/../src/'];
    foreach ($places as $prefix => $folder) {
        if (str_starts_with($class, $prefix)) {
            $file = $folder . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
            if (is_file($file)) {
                require_once $file;
            }

            return;
        }
    }
});
