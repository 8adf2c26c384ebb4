"""What every reply of a page carries, refusals included: nothing runs, and nothing is asked of anybody else."""

from typing import Final

__all__ = ["HEADERS"]

HEADERS: Final = {
    # No script runs, nothing is fetched from elsewhere, no other page may frame this one or receive its forms.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not `no-referrer`: with it browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
