"""The checklist's report: what is in it, and whether somebody else's can be trusted. Pure.

`{"version": 1, "cluster", "at" (UTC, ISO 8601), "passed", "items", "evidence"}`, signed.
"""

from collections.abc import Sequence
from typing import Any

from redis_ha.findings import Finding
from redis_ha.site import Site
from redis_ha.upkeep.checklist import Facts, is_passed
from redis_ha.upkeep.signing import problem_of

VERSION = 1
_NAME_IT = "name whose it must be with --signer KEY"


def make_report(site: Site, facts: Facts, findings: Sequence[Finding]) -> dict[str, Any]:
    """Give the judgement and all that it rests on, as plain values."""
    return {
        "version": VERSION,
        "cluster": {
            "master_name": site.operator.master_name,
            "nodes": {m.name: str(m.address) for m in (*site.data_nodes, *site.sentinels)},
        },
        "at": facts.now.isoformat(timespec="seconds"),
        "passed": is_passed(findings),
        "items": [finding.described() for finding in findings],
        "evidence": facts.evidence(),
    }


def distrust(signed: Any, *, signer: str | None, own: str | None) -> str:
    """Say why a report can't be trusted, "" when it can.

    It must be signed by `signer`; where nobody is named by this machine's `own` key, if it has one.
    A signature alone shows only that whoever signed has a key.
    """
    if problem := problem_of(signed) or _other_document(signed["report"]):
        return problem
    if signer is not None:
        return problem_of(signed, signer=signer)
    whose = signed["signature"]["signer"]
    if own is None:
        return f"it was signed by {whose}, which nobody vouched for: {_NAME_IT}"
    if problem := problem_of(signed, signer=own):
        return f"{problem}, this machine's key: {_NAME_IT}"
    return ""


def _other_document(signed: Any) -> str:
    """Say what a signed document is, "" when it is a report of ours."""
    if not isinstance(signed, dict) or signed.get("version") != VERSION:
        return f"it is signed, but no checklist report of version {VERSION}"
    if not (isinstance(signed.get("at"), str) and isinstance(signed.get("passed"), bool)):
        return "it is signed, but doesn't say when it was made and whether all passed"
    return ""


def verified(signed: Any, problem: str) -> dict[str, Any]:
    """Say of a report whether it can be trusted; what it says only when it can."""
    if problem:
        return {"trusted": False, "problem": problem}
    report = signed["report"]
    said = {"at": report["at"], "passed": report["passed"]}
    return {"trusted": True, "problem": "", **said, "signer": signed["signature"]["signer"]}
