<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Tests\Unit;

use PHPUnit\Framework\TestCase;
use RedisHa\Laravel\Cluster\Address;
use RedisHa\Laravel\Cluster\Known;
use RedisHa\Laravel\Link\Memory;

final class MemoryTest extends TestCase
{
    private string $folder = '';

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/redis-ha-memory-' . getmypid();
        mkdir($this->folder);
    }

    protected function tearDown(): void
    {
        array_map(unlink(...), (array) glob("{$this->folder}/*"));
        rmdir($this->folder);
    }

    public function testWhatIsKeptIsRecalledUntilItIsForgotten(): void
    {
        $known = new Known(new Address('10.0.0.1', 6379), 'abc', 7);
        $this->memory()->keep($known);

        self::assertEquals($known, $this->memory()->recall());
        $this->memory()->forget();
        self::assertNull($this->memory()->recall());
    }

    public function testTheNodesAndWhoIsSilentAreKeptToo(): void
    {
        $nodes = [new Address('10.0.0.1', 6379), new Address('::1', 6380)];
        $this->memory()->keep(new Known($nodes[0], 'abc'), $nodes);
        self::assertEquals($nodes, $this->memory()->nodes());
        self::assertSame([], $this->memory()->silent(10.0));

        $this->memory()->keepSilent(['10.0.0.1:6379' => 5.0, '::1:6380' => 20.0, 'gone:1' => -1.0]);
        $left = $this->memory()->silent(10.0);
        self::assertSame(['10.0.0.1:6379'], array_keys($left), 'neither what is over nor what can\'t be');
        self::assertEqualsWithDelta(5.0, $left['10.0.0.1:6379'], 1.0);
    }

    public function testADamagedOrOldFileIsNoMaster(): void
    {
        $this->memory()->keep(new Known(new Address('10.0.0.1', 6379), 'abc'));
        $path = ((array) glob("{$this->folder}/*"))[0];
        foreach ([-3600, 3600] as $seconds) {
            touch((string) $path, time() + $seconds);
            clearstatcache();
            self::assertNull($this->memory()->recall(), 'too old, or from before the clock was set back');
        }
        file_put_contents((string) $path, '{"host":"h","port":1,"replid":"","epoch":0,"nodes":[1,["h"]]}');
        self::assertSame([], $this->memory()->nodes());
        file_put_contents((string) $path, '{"host":');
        self::assertNull($this->memory()->recall());
    }

    public function testAFolderThatIsNotThereIsNoError(): void
    {
        $memory = new Memory("{$this->folder}/nowhere", SettingsTest::settings());
        $memory->keep(new Known(new Address('10.0.0.1', 6379), 'abc'));
        self::assertNull($memory->recall());
    }

    private function memory(): Memory
    {
        return new Memory($this->folder, SettingsTest::settings());
    }
}
