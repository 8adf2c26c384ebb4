"""A signed paper as the programs' interface gives it."""

import base64
from typing import Any

from coordinator.api import forms
from coordinator.api.asking import Ask
from coordinator.console.board import Meeting
from coordinator.console.remarks import Remark
from coordinator.console.signed_papers import Listed
from coordinator.sign_in.operations import Operation
from federated.papers import PaperKind
from federated.query import write_query
from federated.rationals import rational_text
from federated.series import Series, repeats
from federated.suggestion import Suggestion
from federated.timestamps import time_text

__all__ = ["paper_shown"]


def paper_shown(ask: Ask, found: Listed) -> forms.PaperShown:
    """A paper, with as much of it as whoever asks may see."""
    row, told = found.row, ask.visitor.told
    # The signed bytes have times to the second and the council's own minutes, which no page shows.
    signed = found.content is not None and ask.may(Operation.VIEW_PAPERS, row.agreement_id)
    said: dict[str, Any] = {"signed_at": None, "text": [], "question": None, "minutes": None, "series": None}
    match found.content:
        case Remark() as remark:
            said |= {"signed_at": told(remark.at), "text": list(remark.text)}
        case Meeting() as meeting:
            said |= {"minutes": _minutes(meeting)}
        case Series() as series:
            said |= {"signed_at": told(time_text(series.signed_at)), "question": write_query(series.question)}
            said |= {"series": _series(series)}
        case Suggestion() as suggestion:
            said |= {"signed_at": told(time_text(suggestion.at)), "question": write_query(suggestion.question)}
            said |= {"text": [line for line in suggestion.reason.splitlines() if line]}
        case None:
            pass
    return forms.PaperShown(
        paper=row.digest.hex(),
        kind=PaperKind(row.kind),
        agreement=row.agreement_id,
        subject=row.subject,
        council=row.author if row.kind in {PaperKind.COMMENT, PaperKind.SUGGESTION} else None,
        who=found.who,
        received_at=told(time_text(row.received_at)),
        for_everybody=found.publish,
        envelope=base64.b64encode(row.envelope).decode() if signed else None,
        hidden_at=None if row.hidden_at is None else told(time_text(row.hidden_at)),
        not_shown_because=found.reason or None,
        **said,
    )


def _minutes(meeting: Meeting) -> forms.MinutesShown | None:
    minutes = meeting.minutes
    if minutes is None:
        return None
    return forms.MinutesShown(
        held_on=minutes.held_on.isoformat(),
        present=list(minutes.present),
        signed_by=list(meeting.signers),
        rulings=[
            forms.RulingShown(
                plan=None if one.plan is None else one.plan.hex(),
                about=one.about,
                decision=one.decision,
                reason=one.reason,
            )
            for one in minutes.rulings
        ],
    )


def _series(series: Series) -> forms.SeriesShown:
    return forms.SeriesShown(
        id=series.id,
        edition=series.edition,
        until=series.until.isoformat(),
        epsilon_each=rational_text(series.question.epsilon),
        epsilon_sum=rational_text(series.epsilon_sum),
        repeats=[
            forms.RepeatShown(
                period_from=one.period.start.isoformat(), period_to=one.period.end.isoformat(), due=one.due.isoformat()
            )
            for one in repeats(series)
        ],
    )
