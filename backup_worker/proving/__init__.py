"""Proof that a snapshot loads and holds what the cluster held: the drill and its result."""
