<?php

declare(strict_types=1);

/*
 * Laravel from composer (`composer install` in this package) or from Debian's packages, which hold it
 * without composer: there this stands in for composer's autoloader.
 */
(static function (): void {
    $composer = __DIR__ . '/../vendor/autoload.php';
    $debian = 'Illuminate/autoload.php';
    if (is_file($composer)) {
        require_once $composer;
    } elseif (stream_resolve_include_path($debian) !== false) {
        require_once $debian;
    } else {
        $text = "Laravel is not here: run `composer install` in %s, or install Debian's php-laravel-framework\n";
        file_put_contents('php://stderr', sprintf($text, dirname(__DIR__)));
        exit(1);
    }
    // Where composer installed the package into the test application.
    if (is_file(__DIR__ . '/app/vendor/autoload.php')) {
        require_once __DIR__ . '/app/vendor/autoload.php';
    }
})();

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
