"""Images under the real engine: what is built from what, and when again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_docker
import pytest
from pulumi import automation

from tests.processes.plugins.conftest import IMAGE, Docker
from tests.processes.plugins.engine import Project, void

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings(
    # Pulumi's automation API leaves its event loops open.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
Maker = Callable[[Callable[[], None]], Project]
DOCKERFILE = f"""
FROM {IMAGE}
ARG WORD=none
COPY . /context/
RUN echo "$WORD" > /word
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A build context with a whitelisting .dockerignore."""
    folder = tmp_path / "context"
    for name in ("node/guard.py", "node/__pycache__/guard.pyc", "secret.txt", "docs/a.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")
    (folder / "node" / "Dockerfile").write_text(DOCKERFILE)
    (folder / ".dockerignore").write_text("*\n!node\n**/__pycache__\n")
    return folder


def image_of(context: Path, **settings: Any) -> Callable[[], None]:
    """A program that builds the image and exports its id."""

    def program() -> None:
        build = {
            "context": str(context),
            "dockerfile": "node/Dockerfile",
            "build_args": {"WORD": settings.pop("word", "ready")},
        }
        built = pulumi_docker.RemoteImage(
            "image", name="plug-image:test", build=build, keep_locally=True, **settings
        )
        pulumi.export("id", built.image_id)

    return program


def _identity(project: Project) -> str:
    identity: str = project.stack.outputs()["id"].value
    return identity


def test_an_image_is_built_from_what_dockerignore_lets_through_and_again_on_a_trigger(
    project: Maker, docker: Docker, context: Path
) -> None:
    try:
        one = project(image_of(context, triggers={"hash": "1"}))
        assert one.up() == {"create": 1}
        listed = docker(
            "run", "--rm", "plug-image:test", "sh", "-c", "cat /word; cd /context; find . -type f"
        )
        assert sorted(listed.splitlines()) == ["./node/Dockerfile", "./node/guard.py", "ready"]
        first = _identity(one)
        assert first == docker.inspect("plug-image:test")["Id"]
        (context / "node" / "guard.py").write_text("2")
        one.run(image_of(context, triggers={"hash": "1"}))
        assert one.up() == {"same": 1}, "a changed file alone is no change"
        one.run(image_of(context, triggers={"hash": "2"}))
        assert one.up() == {"replace": 1}
        assert _identity(one) != first
        one.stack.destroy()
        assert docker.inspect("plug-image:test")["Id"] != first, "it is kept locally"
    finally:
        docker("image", "rm", "--force", "plug-image:test", first)


def test_a_failed_build_shows_the_last_lines(project: Maker, docker: Docker, context: Path) -> None:
    dockerfile = context / "node" / "Dockerfile"
    dockerfile.write_text(f"FROM {IMAGE}\nRUN echo no such package; exit 4\n")
    one = project(image_of(context))
    with pytest.raises(automation.CommandError) as failure:
        one.up()
    assert "no such package" in str(failure.value)
    assert "returned a non-zero code: 4" in str(failure.value)


def test_an_image_that_cannot_be_had_is_named(project: Maker, docker: Docker) -> None:
    one = project(
        lambda: void(pulumi_docker.RemoteImage("image", name="127.0.0.1:18199/plug-nowhere:1"))
    )
    with pytest.raises(automation.CommandError) as failure:
        one.up()
    assert "cannot pull image 127.0.0.1:18199/plug-nowhere:1" in str(failure.value)


def test_a_local_image_is_taken_as_it_is(project: Maker, docker: Docker, image: str) -> None:
    def program() -> None:
        found = pulumi_docker.RemoteImage("image", name=IMAGE, keep_locally=True)
        pulumi.export("id", found.image_id)

    one = project(program)
    assert one.up() == {"create": 1}
    assert _identity(one) == image
    one.stack.destroy()
    assert docker.inspect(IMAGE)["Id"] == image
