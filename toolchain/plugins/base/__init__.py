"""What every stand-in plugin shares: values, schemas, checks, diffs, the gRPC server, the process.

A plugin is data (`Plugin`, `Schema`, `Field`) and one small `ResourceType` for each type.
"""
