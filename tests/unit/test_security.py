"""What docs/SECURITY.md says is held by tests that exist, and by the image's own recipe."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "SECURITY.md").read_text()
RECIPE = (ROOT / "node" / "Dockerfile").read_text()
PACKAGES = ROOT / "node" / "debian-packages.txt"
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCUMENT)))


def test_the_document_names_its_tests() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_a_named_test_exists(path: str, test: str) -> None:
    source = (ROOT / path).read_text()
    assert not test or re.search(rf"^def {test}\(", source, re.MULTILINE)


def test_each_line_is_held_by_a_test_or_says_why_not() -> None:
    rows = [line.split("|") for line in DOCUMENT.splitlines() if line.startswith("| ")]
    bare = [row[1].strip() for row in rows if not (row[2].strip() or row[3].strip())]
    assert bare == []


def test_the_image_stands_on_debian() -> None:
    assert "ARG BASE_IMAGE=debian:trixie-slim" in RECIPE
    external = re.findall(r"^FROM (\S+)", RECIPE, re.MULTILINE)
    stages = re.findall(r"^FROM \S+ AS (\S+)", RECIPE, re.MULTILINE)
    assert set(external) - set(stages) == {"${BASE_IMAGE}"}


def test_the_image_installs_what_is_listed_and_no_more() -> None:
    layers = re.split(r"^(?=[A-Z]+ )", RECIPE, flags=re.MULTILINE)
    installing = [layer for layer in layers if "apt-get install" in layer]
    listed, monitors = (
        [line for line in layer.splitlines() if "#" not in line] for layer in installing
    )
    # What follows the option up to the next command: nothing where the list is read by xargs.
    after = [
        re.sub(r"[\\\s]+", " ", layer.split("--no-install-recommends")[1].split("&&")[0]).split()
        for layer in ("\n".join(listed), "\n".join(monitors))
    ]
    assert after == [[], ["prometheus", "prometheus-alertmanager", "prometheus-redis-exporter"]]
    assert PACKAGES.read_text().split() == [
        *("@ENGINE@-server", "@ENGINE@-tools", "ca-certificates", "python3", "python3-boto3"),
        *("python3-click", "python3-cryptography", "python3-prometheus-client", "python3-redis"),
        *("python3-rich", "python3-tenacity", "python3-zstandard"),
    ]
    for layer in installing:
        assert "apt-get update" in layer
        assert "--no-install-recommends" in layer
        assert "rm -rf /var/lib/apt/lists/*" in layer


def test_a_date_brings_patches_into_the_first_layer() -> None:
    layers = re.split(r"^(?=[A-Z]+ )", RECIPE, flags=re.MULTILINE)
    first = next(n for n, layer in enumerate(layers) if layer.startswith("RUN "))
    # An argument that is declared before a layer is part of what the layer is cached by.
    assert any(layer.startswith("ARG IMAGE_DATE=") for layer in layers[:first])
    patched = layers[first].partition("apt-get update")[2].partition("apt-get install")[0]
    assert re.search(r'\[ -z "\$IMAGE_DATE" \] \|\| \S+ apt-get upgrade -y', patched)


def test_the_image_adds_nothing_from_elsewhere() -> None:
    assert not re.search(r"^ADD ", RECIPE, re.MULTILINE)
    assert not re.search(r"\b(curl|wget|pip|http:|https:)", RECIPE)
    assert "--allow-unauthenticated" not in RECIPE
