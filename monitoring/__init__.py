"""Who watches the cluster: Prometheus's rules, Grafana's dashboards."""
