"""Proves what a failover costs: real faults on real nodes, under clients that keep a ledger."""
