"""A page that shows one cluster, served on this machine only."""
