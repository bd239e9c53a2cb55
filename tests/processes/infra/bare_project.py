"""The committed prod program in a folder of its own, under the real engine and without plugins."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.processes.plugins.engine import CHECKOUT, pulumi_folder

PARTS = (".venv", "__main__.py", "age", "infra", "requirements.txt", "toolchain")
Pulumi = Callable[..., "subprocess.CompletedProcess[str]"]


def bare_project(folder: Path) -> Pulumi:
    """Make the project and a state; return what runs `pulumi` there, fed with `stdin`."""
    project = folder / "project"
    project.mkdir()
    (folder / "state").mkdir()
    for part in PARTS:
        (project / part).symlink_to(CHECKOUT / part)
    for file in ("Pulumi.yaml", "Pulumi.prod.yaml"):
        shutil.copy(CHECKOUT / file, project)
    environment = {
        "PATH": f"{pulumi_folder()}:{os.environ['PATH']}",
        "HOME": str(folder),
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        # No plugin is there, so whoever registered a resource would be told that.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def pulumi(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", "--non-interactive", "--color=never", *words],
            cwd=project, env=environment, capture_output=True, text=True, timeout=60, check=False,
            input=stdin,
        )  # fmt: skip

    return pulumi
