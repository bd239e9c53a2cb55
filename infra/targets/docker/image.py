"""The image that data nodes, sentinels and the worker run, and the one of those who watch them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_docker as docker

from infra.targets.docker.context import context_hash, image_name


@dataclass(frozen=True)
class ImageArgs:
    """`root` is the checkout; `repository` the image's name without a tag; `arguments` the build's.

    `stage` is the Dockerfile's. Stages share layers, so one is built `after` the other.
    """

    root: Path
    repository: str
    engine: str
    arguments: Mapping[str, str]
    stage: str
    after: Sequence[pulumi.Resource] = field(default_factory=tuple)


class Image(pulumi.ComponentResource):
    """Builds the image from the checkout, again only when its content changes."""

    image_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: ImageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:docker:Image", name, None, opts)
        content = context_hash(args.root, args.arguments)
        built = docker.RemoteImage(
            f"{name}-image",
            name=image_name(args.repository, engine=args.engine, content=content),
            build={
                # Relative to the program's folder, so that the state names no checkout.
                "context": ".",
                "dockerfile": "node/Dockerfile",
                "target": args.stage,
                "build_args": dict(args.arguments),
                # The same builder on every host: not each has buildx, or a builder that sees
                # base images made locally.
                "use_legacy_builder": True,
            },
            # A changed context alone does not rebuild.
            triggers={"content": content},
            keep_locally=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        self.image_id = built.image_id
        self.register_outputs({"imageId": self.image_id, "name": built.name})
