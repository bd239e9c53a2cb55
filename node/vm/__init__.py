"""A virtual machine becomes a node: its volume, files, users, host tuning and units.

`boot` runs once, after stage 1 (infra.targets.aws.stage1) has installed packages and this code.
"""
