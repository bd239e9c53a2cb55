<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Link;

use Redis;
use RedisHa\Laravel\Retry\Command;
use RedisHa\Laravel\Retry\Effect;

/**
 * What ties the next commands to one connection: WATCH, MULTI and pipelines.
 *
 * phpredis knows of a MULTI that was said through its methods (its mode), but not of a raw one, nor
 * does it tell of a WATCH. One that this class isn't told the end of holds on: that costs
 * repetitions, the other way round costs the protection.
 */
final class Tie
{
    private bool $watching = false;
    private bool $multi = false;
    private bool $rawMulti = false;

    /** Note a command that was sent; the modes are phpredis's, before and after. */
    public function note(Command $command, int $before, int $after, mixed $reply): void
    {
        match ($command->name) {
            'watch' => $this->watching = $this->watching || ($reply !== false && $before !== Redis::MULTI),
            'multi' => $this->multiBegan($command, $after, $reply),
            'exec', 'discard' => $this->multiEnded($command, $before),
            'unwatch' => $this->watching = $this->watching && $this->queues($before),
            default => null,
        };
    }

    /** Say whether the next command belongs to the connection of the one before. */
    public function holds(int $mode): bool
    {
        // MULTI was ended at phpredis's own object, which `Redis::multi()` returns.
        if ($this->multi && $mode === Redis::ATOMIC) {
            $this->loosen();
        }

        return $this->watching || $this->queues($mode);
    }

    /** Say whether what is sent is only queued, until EXEC. */
    public function queues(int $mode): bool
    {
        return $mode !== Redis::ATOMIC || $this->rawMulti;
    }

    /**
     * Say whether EXEC was refused: phpredis 6 then returns false, as it does when a watched key was
     * changed or a queued command was wrong; the last has an error that can be asked for.
     */
    public function isRefusal(Command $command, int $mode, mixed $reply): bool
    {
        return $command->name === 'exec' && $mode === Redis::MULTI && $reply === false && ! $this->watching;
    }

    public function isWatching(): bool
    {
        return $this->watching;
    }

    /** Say what a command may change, sent in this mode. */
    public function effect(Command $command, int $mode): Effect
    {
        if (! $this->queues($mode)) {
            return $command->isHarmless() ? Effect::None : Effect::Whole;
        }
        if ($command->name !== 'exec') {
            return Effect::None;
        }

        return match ($mode) {
            Redis::PIPELINE => Effect::Parts,
            Redis::MULTI => Effect::Whole,
            Redis::ATOMIC => $command->raw ? Effect::Whole : Effect::None,
            // Of a MULTI inside a pipeline.
            default => Effect::None,
        };
    }

    public function loosen(): void
    {
        $this->watching = $this->multi = $this->rawMulti = false;
    }

    private function multiBegan(Command $command, int $after, mixed $reply): void
    {
        if ($command->raw) {
            $this->rawMulti = $this->rawMulti || ($reply === true && $after === Redis::ATOMIC);
        } else {
            // In a pipeline it is sent later, or never.
            $this->multi = $this->multi || $after === Redis::MULTI;
        }
    }

    private function multiEnded(Command $command, int $before): void
    {
        if ($command->raw ? $this->rawMulti : $before === Redis::MULTI) {
            $this->loosen();
        }
    }
}
