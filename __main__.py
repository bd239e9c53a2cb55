"""The Pulumi program: the stack's configuration becomes a plan, the plan a cluster."""

from pathlib import Path

import pulumi

from infra.changes import refuse_forbidden_changes
from infra.config import read_stack_config
from infra.deployment import deploy
from infra.planner import make_plan

config = read_stack_config()
plan = make_plan(config)
refuse_forbidden_changes(config)
outputs = deploy(plan, root=Path(__file__).resolve().parent)
pulumi.info(plan.summary())
for name, value in outputs.items():
    pulumi.export(name, value)
