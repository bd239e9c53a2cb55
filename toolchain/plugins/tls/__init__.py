"""Stand-in for the official `tls` provider 5.6.2: private keys, requests, certificates."""
