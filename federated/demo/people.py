"""The people of a made-up federation: who signs, who asks and who reviews."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml

from federated.keys import SigningKey, make_key, public_line
from federated.trust import TrustSettings
from protocols.identifiers import RandomSource

__all__ = ["People"]


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Each with a key of their own."""

    signer_a: SigningKey
    signer_b: SigningKey
    programme: SigningKey
    association: SigningKey
    analyst: SigningKey
    reviewer: SigningKey

    @classmethod
    def make(cls, rng: RandomSource) -> Self:
        """Make every key."""
        return cls(
            signer_a=make_key(rng),
            signer_b=make_key(rng),
            programme=make_key(rng),
            association=make_key(rng),
            analyst=make_key(rng),
            reviewer=make_key(rng),
        )

    @property
    def trust(self) -> TrustSettings:
        """What every party pins."""
        return TrustSettings(
            roster_keys=(public_line(self.signer_a.public), public_line(self.signer_b.public)),
            agreement_keys=tuple(public_line(key.public) for key in self.agreement_signers),
        )

    @property
    def agreement_signers(self) -> tuple[SigningKey, SigningKey]:
        """Two people sign the agreement: one for the programme that asks, one for the councils' association."""
        return self.programme, self.association

    def write_trust(self, path: Path) -> None:
        """Write what every party pins, as each is handed it."""
        path.write_text(yaml.safe_dump(self.trust.model_dump(mode="json")), encoding="utf-8")
