"""Stand-in resource plugins for a machine that cannot download the official ones.

Each plugin is a process that Pulumi's engine starts and speaks gRPC with. They cover the types
this project provisions and behave as the official providers do for them: what replaces, what is
secret, what is refused. `base` holds what all of them share.
"""
