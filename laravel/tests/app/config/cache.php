<?php

declare(strict_types=1);

return ['default' => 'redis', 'prefix' => 'cache', 'stores' => ['redis' => ['driver' => 'redis', 'connection' => 'cache']]];
