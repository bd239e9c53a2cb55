<?php

declare(strict_types=1);

namespace RedisHa\Laravel\Cluster;

/**
 * Which node a client may write to, decided on what nodes and sentinels say: no I/O.
 *
 * The proof that one node succeeded another is replication's own: a promoted replica keeps its old
 * master's replication id as master_replid2. A node that was only restarted has neither id. The
 * rules are those of the Python client (redis_ha/client/mastership.py).
 */
final class Mastership
{
    public static function decide(?Known $known, Evidence $evidence): Verdict
    {
        $named = $evidence->majority();
        if ($known !== null && ($named === null || ! self::leftBehind($known, $named, $evidence))) {
            return self::byHistory($known, $named, $evidence);
        }
        if ($named === null) {
            return new Verdict(null, 'no majority of the sentinels answers and names one master');
        }

        return self::bySentinels($named, $evidence);
    }

    /** Say whether the sentinels went on from the known master in a later epoch. */
    private static function leftBehind(Known $known, Address $named, Evidence $evidence): bool
    {
        return ! $named->is($known->address) && $evidence->epochOf($named) > $known->epoch;
    }

    private static function byHistory(Known $known, ?Address $named, Evidence $evidence): Verdict
    {
        $incumbent = $evidence->node($known->address);
        if ($incumbent === null) {
            return new Verdict(null, "{$known->address} was not heard yet");
        }
        $restarted = $incumbent->replid !== $known->replid;
        $heir = self::heir($known, $incumbent, $evidence);
        if ($heir !== null) {
            return self::accept($heir, $evidence, "it was promoted over {$known->address}", $known->epoch);
        }
        if ($restarted && ! $known->address->is($named) && $incumbent->isMaster()) {
            // It was restarted meanwhile: only the sentinels can say that it still counts.
            return new Verdict(null, "{$known->address} was restarted and the sentinels don't name it");
        }
        if (! $evidence->complete) {
            return new Verdict(null, self::unlessServing($incumbent, 'not all sentinels were heard yet'));
        }

        return self::judge($incumbent, $evidence, 'it still is the master', $known->epoch, $restarted);
    }

    private static function bySentinels(Address $named, Evidence $evidence): Verdict
    {
        $view = $evidence->node($named);
        if ($view === null) {
            return new Verdict(null, "{$named} was not heard yet");
        }
        $follows = $evidence->node($view->master);
        if ($view->role === 'slave' && $follows?->isMaster()) {
            return self::accept($follows, $evidence, "{$named}, which the sentinels name, follows it");
        }
        $heir = self::heir(new Known($named, $view->replid), $view, $evidence);
        if ($heir !== null) {
            return self::accept($heir, $evidence, "it was promoted over {$named}");
        }

        return self::judge($view, $evidence, "the sentinels' majority names it and it says master");
    }

    /**
     * Return the one node that continued the known master's history, if that history is over.
     *
     * While the incumbent still lives in it, a sentinel must know of the promotion: else somebody
     * just told a replica to stop following, and the sentinels will make it follow again.
     */
    private static function heir(Known $known, NodeView $incumbent, Evidence $evidence): ?NodeView
    {
        $histories = array_filter([$known->replid, $incumbent->replid]);
        $heirs = array_values(array_filter(
            $evidence->nodes,
            static fn (NodeView $view): bool => $view->isMaster()
                && ! $view->address->is($known->address)
                && in_array($view->replid2, $histories, true),
        ));
        if (count($heirs) !== 1) {
            return null;
        }
        $livesOn = $incumbent->isMaster() && $incumbent->replid === $heirs[0]->replid2;

        return $livesOn && ! self::told($heirs[0], $evidence) ? null : $heirs[0];
    }

    private static function told(NodeView $heir, Evidence $evidence): bool
    {
        foreach ($evidence->sentinels as $view) {
            if ($view->failingOver || $heir->address->is($view->master)) {
                return true;
            }
        }

        return false;
    }

    /** Settle on a node if it serves and no sentinel has seen a later master that serves, too. */
    private static function judge(
        NodeView $view,
        Evidence $evidence,
        string $reason,
        int $epoch = 0,
        bool $restarted = false,
    ): Verdict {
        if (! $view->isMaster()) {
            return new Verdict(null, self::unlessServing($view, ''));
        }
        $least = max($epoch, $evidence->epochOf($view->address));
        foreach ($evidence->sentinels as $sentinel) {
            $other = $sentinel->master;
            if ($other === null || $other->is($view->address) || $sentinel->epoch <= $least) {
                continue;
            }
            if ($restarted || $evidence->node($other)?->isMaster()) {
                return new Verdict(null, "{$sentinel->sentinel} names {$other} in a later epoch");
            }
        }

        return self::accept($view, $evidence, $reason, $epoch);
    }

    /** Settle on a node; the epoch never goes back, so that late sentinels can't undo it. */
    private static function accept(NodeView $view, Evidence $evidence, string $reason, int $epoch = 0): Verdict
    {
        $known = new Known($view->address, $view->replid, max($epoch, $evidence->highestEpoch()));

        return new Verdict($known, $reason);
    }

    private static function unlessServing(NodeView $view, string $otherwise): string
    {
        return $view->isMaster() ? $otherwise : "{$view->address} says: " . ($view->role ?? $view->problem);
    }
}
