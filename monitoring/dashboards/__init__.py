"""The sources of monitoring/grafana/*.json: `python -m monitoring.dashboards` writes them anew.

A panel here is its query, unit, limits and words; what Grafana wants beside those stands once, in
`panels`. Queries hold where several exporters look at one cluster, as on AWS: the worst counts.
"""
