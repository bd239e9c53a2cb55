"""An application that installs the package with composer, as the README says."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes.laravel.application import PACKAGE, ClusterApplication

# Debian's packages hold these without composer's files: the application says that it has them.
PROVIDED = ("illuminate/console", "illuminate/queue", "illuminate/redis", "illuminate/support")
VERSIONS = dict.fromkeys(PROVIDED, "8.83.26") | {"symfony/process": "5.4.23"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of an application that hasn't got the package yet."""
    shutil.copytree(PACKAGE / "tests", tmp_path / "tests")
    folder = tmp_path / "tests" / "app"
    document = {
        "name": "test/app",
        "repositories": [{"packagist.org": False}],
        "provide": VERSIONS,
    }
    (folder / "composer.json").write_text(json.dumps(document))
    return folder


def composer(folder: Path, *arguments: str, home: Path) -> str:
    """Run composer in a folder; what it keeps for itself goes to `home`."""
    own = {"COMPOSER_HOME": str(home), "COMPOSER_ALLOW_SUPERUSER": "1"}
    done = subprocess.run(
        ["composer", "--no-interaction", *arguments],
        cwd=folder,
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def readme_commands() -> list[list[str]]:
    """Return what the README says to run, with this checkout in the place of its path."""
    lines = (PACKAGE / "README.md").read_text().splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("composer ")]
    return [[word.replace("../redis-ha/laravel", str(PACKAGE)) for word in c] for c in commands]


def test_the_package_is_valid(tmp_path: Path) -> None:
    composer(PACKAGE, "validate", "--strict", "--no-check-lock", home=tmp_path)


@pytest.mark.parametrize(("laravel", "symfony"), [("11.48.0", "7.0.0"), ("12.40.0", "7.4.0")])
def test_composer_takes_it_beside_newer_laravels(folder: Path, laravel: str, symfony: str) -> None:
    document = json.loads((folder / "composer.json").read_text())
    document["provide"] = dict.fromkeys(PROVIDED, laravel) | {"symfony/process": symfony}
    (folder / "composer.json").write_text(json.dumps(document))
    for command in readme_commands():
        composer(folder, *command[1:], home=folder / "composer")
    assert (folder / "vendor" / "redis-ha" / "laravel" / "src").is_dir()


def test_it_is_installed_and_found_as_the_readme_says(
    application: ClusterApplication, folder: Path
) -> None:
    commands = readme_commands()
    assert len(commands) == 2
    for command in commands:
        composer(folder, *command[1:], home=folder / "composer")
    assert (folder / "vendor" / "redis-ha" / "laravel" / "src").is_dir()
    application.scripts = folder
    code, text = application.artisan("redis:ha", "health", "--json")
    assert (code, json.loads(text)["level"]) == (0, "healthy")
    code, text = application.artisan("vendor:publish", "--tag=redis-ha-config")
    assert code == 0, text
    assert (folder / "config" / "redis-ha.php").read_text() == (
        PACKAGE / "config" / "redis-ha.php"
    ).read_text()
    actor = application.act("metrics", 0.5)
    assert actor.wait(20) == 0
    assert actor.acknowledged, application.last_words()
