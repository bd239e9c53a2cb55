"""What happened to the cluster, out of its logs: a timeline, and the failovers in it. Pure.

`happening` reads one entry, `sightings` makes one event of what several saw, `failovers` finds
which of it is a failover, `figures` says why it came, how long each part took and how it ended.
"""
