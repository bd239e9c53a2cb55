"""`redis-ha exporter`: what the stock exporter can't say of a cluster, for Prometheus.

`looking` asks, `picture` adds up what was seen, `families` turns that into metrics (both pure),
`running` holds the loops that ask, each at its own pace. A scrape asks nobody.
"""
