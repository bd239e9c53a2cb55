"""What `redis-ha compose` keeps secret and for how long: passwords, keys, certificates."""

import json
import stat
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from infra.compose.__main__ import main
from infra.compose.folder import COMPOSE_FILE, ENV_FILE, Folder
from infra.compose.secrets import read_secrets
from infra.compose.writing import write_folder
from tests.unit.infra.composed_folder import GROUP, NOW, node_files, write
from tests.unit.infra.recorded_graph import REPOSITORY


def test_secrets_are_in_closed_files_and_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    write(folder)
    kept = read_secrets((folder / "secrets.json").read_text())
    hidden = {*kept.passwords.values(), kept.seed, kept.identity, kept.signing_key}
    hidden |= {pair.private_key for pair in (kept.authority, *kept.pairs.values())}
    open_files = [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and (folder / "nodes") not in path.parents
        and stat.S_IMODE(path.stat().st_mode) != 0o600
    ]
    assert {path.name for path in open_files} >= {COMPOSE_FILE, "ca.crt", "Dockerfile"}
    for path in open_files:
        text = path.read_text(errors="replace")
        assert not [secret for secret in hidden if secret in text], path
    assert stat.S_IMODE((folder / "nodes").stat().st_mode) == 0o700
    modes = {stat.S_IMODE(p.stat().st_mode) for p in (folder / "nodes").rglob("*") if p.is_file()}
    assert modes == {0o440}
    for name in ("secrets.json", "identity.txt", "settings.yaml", ENV_FILE, "nodes"):
        assert name in (folder / ".gitignore").read_text().split()


def test_certificates_are_valid_for_their_node_and_renewed_when_due(tmp_path: Path) -> None:
    write(tmp_path)
    before = node_files(tmp_path)
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    certificate = x509.load_pem_x509_certificate(before["redis-2/tls/node.crt"].encode())
    for address in ("172.28.0.12", "127.0.0.1"):
        policy = PolicyBuilder().store(Store([authority])).time(NOW)
        verifier = policy.build_server_verifier(x509.IPAddress(ip_address(address)))
        verifier.verify(certificate, [])
    write(tmp_path, now=NOW + timedelta(hours=8_760 - 720 + 1))
    after = node_files(tmp_path)
    assert after["redis-2/tls/node.crt"] != before["redis-2/tls/node.crt"]
    assert after["redis-2/tls/ca.crt"] == before["redis-2/tls/ca.crt"]


def test_a_certificate_for_another_address_is_replaced(tmp_path: Path) -> None:
    write(tmp_path)
    before = node_files(tmp_path)
    (tmp_path / "written.json").unlink()
    write(tmp_path, subnet="172.29.0.0/24")
    after = node_files(tmp_path)
    certificate = x509.load_pem_x509_certificate(after["redis-1/tls/node.crt"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ip_address("172.29.0.11") in names.get_values_for_type(x509.IPAddress)
    assert after["redis-1/tls/ca.crt"] == before["redis-1/tls/ca.crt"]


def test_lost_secrets_take_no_key_to_the_backups_with_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, secrets = str(tmp_path), tmp_path / "secrets.json"
    assert main([path]) == 0
    identity, kept = tmp_path / "identity.txt", secrets.read_text()
    key, made = identity.read_text(), (tmp_path / "written.json").read_text()
    (recipient,) = json.loads(made)["recipients"]
    secrets.unlink()
    for _ in range(2):
        assert main([path]) == 7
        said = capsys.readouterr().err
        assert "put secrets.json back" in said
        assert f"--allowBackupKeyLoss {recipient}" in said
        assert (identity.read_text(), (tmp_path / "written.json").read_text()) == (key, made)
        assert not secrets.exists()
    secrets.write_text(kept)
    assert main([path]) == 0
    assert identity.read_text() == key
    secrets.unlink()
    assert main([path, "--allowBackupKeyLoss", recipient]) == 0
    assert identity.read_text() != key
    # It was said of that key alone.
    secrets.unlink()
    assert main([path]) == 7


@pytest.mark.parametrize("allowed", [False, True])
def test_lost_secrets_lock_nobody_out(
    allowed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key to the backups is the operator's, but passwords and authority are the folder's."""
    path, recipient = str(tmp_path), "age1" + "q" * 58
    assert main([path, "--backupRecipients", json.dumps([recipient])]) == 0
    ca, files = (tmp_path / "ca.crt").read_text(), node_files(tmp_path)
    secrets = tmp_path / "secrets.json"
    secrets.rename(tmp_path / "copy")
    assert main([path, *(["--allowBackupKeyLoss", recipient] if allowed else [])]) == 7
    said = capsys.readouterr().err
    assert "put secrets.json back from a copy" in said
    assert "to begin anew on purpose" in said
    assert not secrets.exists()
    assert ((tmp_path / "ca.crt").read_text(), node_files(tmp_path)) == (ca, files)
    # As it says: once on purpose, everything is new.
    (tmp_path / "written.json").unlink()
    assert main([path]) == 0
    assert (tmp_path / "ca.crt").read_text() != ca


def test_an_own_key_that_goes_takes_no_lost_passwords_with_it(tmp_path: Path) -> None:
    path, given = str(tmp_path), json.dumps(["age1" + "q" * 58])
    assert main([path]) == 0
    (recipient,) = json.loads((tmp_path / "written.json").read_text())["recipients"]
    (tmp_path / "secrets.json").unlink()
    assert main([path, "--backupRecipients", given, "--allowBackupKeyLoss", recipient]) == 7


DAMAGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "authority": lambda kept: kept["authority"].update(certificate="cut off"),
    "key": lambda kept: kept["authority"].update(
        private_key=kept["pairs"]["redis-1"]["private_key"]
    ),
    "no-key": lambda kept: kept["authority"].update(private_key=""),
    "pair": lambda kept: kept["pairs"]["redis-1"].update(certificate=""),
    "not-text": lambda kept: kept["pairs"]["redis-1"].update(certificate=None),
    "password": lambda kept: kept["passwords"].update(app=""),
    "seed": lambda kept: kept.update(seed="AAAA"),
    "signing": lambda kept: kept.update(signing_key="none"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_of_the_secrets_is_damaged_is_not_made_anew(
    damage: Callable[[dict[str, Any]], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    ca, secrets = (tmp_path / "ca.crt").read_text(), tmp_path / "secrets.json"
    kept = json.loads(secrets.read_text())
    damage(kept)
    secrets.write_text(json.dumps(kept))
    assert main([str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "secrets.json: it is damaged" in said
    assert "put secrets.json back from a copy" in said
    assert (tmp_path / "ca.crt").read_text() == ca
    assert json.loads(secrets.read_text()) == kept


def test_an_authority_that_is_due_is_replaced_with_all_that_it_signed(tmp_path: Path) -> None:
    write(tmp_path, caValidityHours="87600")
    before = (tmp_path / "ca.crt").read_text()
    due = NOW + timedelta(hours=87_600 - 720 + 1)
    folder = Folder(tmp_path, GROUP)
    written = write_folder(folder, {}, root=REPOSITORY, now=due)
    assert (tmp_path / "ca.crt").read_text() != before
    assert written.new_authority, "one after another they would wait for each other in vain"
    assert not write_folder(folder, {}, root=REPOSITORY, now=due).new_authority


def test_a_key_of_other_secrets_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, identity = str(tmp_path), tmp_path / "identity.txt"
    assert main([path]) == 0
    key = identity.read_text()
    for name in ("secrets.json", "written.json"):
        (tmp_path / name).unlink()
    assert main([path]) == 7
    assert "move identity.txt to where you keep such keys" in capsys.readouterr().err
    assert identity.read_text() == key
    identity.rename(tmp_path / "old-key.txt")
    assert main([path]) == 0
    assert identity.read_text() != key
