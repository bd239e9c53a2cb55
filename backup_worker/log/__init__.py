"""The continuous log: the replication stream between snapshots, in sealed segments."""
