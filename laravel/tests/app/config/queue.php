<?php

declare(strict_types=1);

$redis = ['driver' => 'redis', 'connection' => 'default', 'queue' => 'default', 'retry_after' => 3, 'block_for' => 2];

return ['default' => 'redis', 'connections' => ['redis' => $redis], 'failed' => ['driver' => 'null']];
