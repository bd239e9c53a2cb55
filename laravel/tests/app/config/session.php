<?php

declare(strict_types=1);

return [
    'driver' => 'redis',
    'connection' => 'default',
    'lifetime' => 60,
    'cookie' => 'test',
    'encrypt' => false,
    'store' => null,
    'lottery' => [0, 1],
];
