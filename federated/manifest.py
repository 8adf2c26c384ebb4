"""The manifest of a question: opened, linted and held against the agreement. The form is `federated.manifest_form`.

Run by the analyst's client before asking, and by every node before deciding.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from federated.agreement import Agreement
from federated.errors import PolicyRefusal
from federated.manifest_form import RED_LINES, Manifest
from federated.manifest_lint import LintFinding, Severity, lint, lint_payload
from federated.signing import open_envelope
from federated.yaml_document import read_form
from protocols.encoding import sha256

__all__ = [
    "MANIFEST_TYPE",
    "RED_LINES",
    "LintFinding",
    "Manifest",
    "Severity",
    "check_columns",
    "check_manifest",
    "lint",
    "lint_payload",
    "open_manifest",
    "parse_manifest",
]

MANIFEST_TYPE: Final = "application/vnd.federated.manifest+yaml"
MANIFESTS_KEPT: Final = 32
"""Manifests read once: a question's is looked at when it is proposed, and again for its receipt."""


@lru_cache(maxsize=MANIFESTS_KEPT)
def parse_manifest(payload: bytes, *, source: str = "manifest") -> Manifest:
    """Read the content of a manifest, signatures aside.

    Raises:
        FileProblem: Names the line and field at fault.
    """
    manifest = read_form(Manifest, payload, source=source, remedy="docs/reference/manifest.md explains every field.")
    manifest._digest = sha256(payload)  # noqa: SLF001 - only here are the signed bytes at hand
    return manifest


def open_manifest(envelope: bytes, analysts: Mapping[str, bytes], now: datetime) -> Manifest:
    """Check a signed manifest on its own: signature, form, wording, dates.

    Args:
        envelope: The signed file.
        analysts: Keys that may ask, by key id: `Agreement.analyst_keys`.
        now: The time, UTC.

    Raises:
        SignatureProblem: Not signed by an analyst of the agreement.
        FileProblem: Not a manifest; names the line and field.
        PolicyRefusal: `manifest_wording` or `manifest_expired`.
    """
    manifest = parse_manifest(open_envelope(envelope, MANIFEST_TYPE, analysts).payload)
    errors = [finding for finding in lint(manifest) if finding.severity is Severity.ERROR]
    if errors:
        more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
        raise PolicyRefusal(
            "manifest_wording",
            f"The manifest's {errors[0].field} cannot be accepted{more}. {errors[0].problem}",
            remedy=f"{errors[0].advice} 'federated manifest lint' lists everything.",
        )
    _check_expiry(manifest, now)
    return manifest


def _check_expiry(manifest: Manifest, now: datetime) -> None:
    today = now.astimezone(UTC).date()
    if today > manifest.expires_on:
        raise PolicyRefusal(
            "manifest_expired",
            f"The manifest '{manifest.id}' expired at the end of {manifest.expires_on}; today is {today}.",
            remedy="The analyst must write a new version, and councils decide on it anew.",
        )


def check_manifest(manifest: Manifest, agreement: Agreement) -> None:
    """Hold a manifest against the agreement: what it is for, and who gets the answer.

    Raises:
        PolicyRefusal: `manifest_purpose`, `manifest_funding`, `manifest_linked_data` or `manifest_recipient`.
    """
    if manifest.purpose_category not in agreement.purpose_categories:
        raise PolicyRefusal(
            "manifest_purpose",
            f"The manifest is for '{manifest.purpose_category}', which the agreement '{agreement.id}' does not list.",
            remedy=f"It lists: {', '.join(agreement.purpose_categories)}.",
        )
    if manifest.funding_use == "declared" and agreement.funding_use == "never":
        raise PolicyRefusal(
            "manifest_funding",
            f"The manifest declares a use for funding, which the agreement '{agreement.id}' rules out.",
            remedy="Ask without that use, or agree a new version first.",
        )
    if manifest.linked_data not in {"none", agreement.linked_data}:
        raise PolicyRefusal(
            "manifest_linked_data",
            f"The manifest combines the answer with other data, which the agreement '{agreement.id}' does not name.",
            remedy="Write linked_data: none, or agree a new version first.",
        )
    agreed = {(recipient.body.casefold(), recipient.type) for recipient in agreement.recipients}
    for recipient in manifest.recipients:
        if (recipient.body.casefold(), recipient.type) not in agreed:
            raise PolicyRefusal(
                "manifest_recipient",
                f"The manifest gives the answer to '{recipient.body}', which the agreement '{agreement.id}' does not "
                "name as a recipient of that kind.",
                remedy="A new recipient needs a new version of the agreement.",
            )


def check_columns(manifest: Manifest, *, dataset: str, columns: Collection[str]) -> None:
    """Refuse a question that reads a column its manifest does not explain (requirements R44 and R59).

    Raises:
        PolicyRefusal: `manifest_column`.
    """
    for column in sorted(columns):
        if (dataset, column) not in manifest.columns:
            raise PolicyRefusal(
                "manifest_column",
                f"The question reads the column '{column}' of '{dataset}', which its manifest does not explain.",
                remedy="List the column under fields_read, or leave it out of the question.",
            )
