"""The witness: knows from a closed socket that a master's process is dead, before Sentinel does.

One runs beside each sentinel. When a majority of them has lost the same process of the master,
one of them asks a sentinel for a failover at once, instead of after down-after.

- `link`: connections kept without blocking; what ended one, and whether an attempt met somebody.
- `evidence`: what this witness has seen and heard; `rules`: what stands against a failover.
- `core`: the decision; `vote`: what witnesses tell each other; `loop`: the sockets around it all.
- `record`, `status`, `report`: what it did, for its file and for who asks over `channels`;
  `hearing` asks, `metrics` makes rows of the answers.
"""
