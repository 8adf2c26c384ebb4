"""Attacks on a round and on what comes of it that tests of other kinds try; rows of the same table as the lies."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One attack; the same as of a `Lie`.

    Attributes:
        attack: What is tried.
        gain: What it would have gained.
        stopped: What stops it.
        guard: The module that holds this.
        tests: Which try it.
    """

    attack: str
    gain: str
    stopped: str
    guard: str
    tests: tuple[str, ...]


ELSEWHERE: Final = (
    Tried(
        attack="Every secret of the coordinator and of as many councils as the agreement guards against, put together",
        gain="one honest council's figures",
        stopped="each pair of honest councils shares a mask that neither gives out",
        guard="protocols/secagg/participant.py",
        tests=(
            "tests/adversary/test_colluding_councils.py::test_colluders_have_the_sum_of_the_others_and_nothing_else",
            "tests/adversary/test_colluding_councils.py::test_what_can_be_worked_out_has_rank_one",
        ),
    ),
    Tried(
        attack="Every secret of the coordinator and of all councils but one, where the agreement names a mask holder",
        gain="the one council's figures",
        stopped="a mask that is shared with the mask holder alone, under a key that is dealt to nobody",
        guard="protocols/secagg/participant.py",
        tests=(
            "tests/simulation/test_mask_holder.py::test_all_councils_but_one_with_the_coordinator_and_every_seed_of_the_round_do_not_get_the_ones_figure",
        ),
    ),
    Tried(
        attack="The mask holder shown a second list of survivors, with one council fewer",
        gain="two sums, whose difference is that council's figures",
        stopped="one list for each round: another ends the round at the mask holder",
        guard="protocols/secagg/mask_holder.py",
        tests=(
            "tests/simulation/test_mask_holder.py::test_the_same_request_gets_the_same_bytes_and_another_ends_the_round",
        ),
    ),
    Tried(
        attack="A mask holder of the coordinator's own making in the invitation, or the real one's key of another round",
        gain="a second body that is none",
        stopped="the key is signed for this round by the body that the agreement names",
        guard="federated/round_context.py",
        tests=(
            "tests/integration/test_mask_holder_in_rounds.py::test_a_council_refuses_a_round_without_the_holder_that_was_agreed",
        ),
    ),
    Tried(
        attack="Noise kept out of a sum by colluders and lost councils, as many as there may be",
        gain="a sum with too little noise",
        stopped="noise is planned for the honest contributors alone",
        guard="federated/privacy/noise_share.py",
        tests=(
            "tests/adversary/test_colluding_councils.py::test_the_noise_of_the_honest_is_never_less_than_planned",
            "tests/adversary/test_colluding_councils.py::test_the_noise_of_the_honest_gives_away_no_more_than_is_charged",
        ),
    ),
    Tried(
        attack="Differencing, small groups and repeated questions against published answers (R51)",
        gain="whether one household is in the data",
        stopped="noise and its charge, on every answer",
        guard="federated/privacy/noise_share.py",
        tests=(
            "tests/simulation/test_differencing_attacks.py::test_every_attack_succeeds_where_small_counts_are_hidden_and_stays_under_the_bound_here",
        ),
    ),
    Tried(
        attack="The coordinator's database, stolen (R58)",
        gain="what councils sent",
        stopped="no vector is ever written, masked or not",
        guard="coordinator/rounds.py",
        tests=(
            "tests/integration/test_coordinator_proposals.py::test_the_store_holds_no_councils_figures_masked_or_not",
        ),
    ),
    Tried(
        attack="The traffic, read on its way (R58)",
        gain="what councils sent, and to whom",
        stopped="a link that is encrypted and proves both ends",
        guard="coordinator/grpc_server.py",
        tests=("tests/integration/test_council_link_grpc.py::test_a_plaintext_client_gets_nothing",),
    ),
    Tried(
        attack="A flood of requests to a council at work (R45)",
        gain="a node without memory",
        stopped="what a node has not answered is not read",
        guard="council_node/link_session.py",
        tests=(
            "tests/integration/test_council_link_hostile_coordinator.py::test_a_flood_of_requests_stays_with_its_sender",
        ),
    ),
    Tried(
        attack="A request dripped a byte at a time (R45)",
        gain="a node that waits, and keeps what it has, for as long as somebody likes",
        stopped="every chunk but the last of a message is a full one",
        guard="protocols/wire/chunks.py",
        tests=(
            "tests/integration/test_council_link_hostile_coordinator.py::test_a_request_dripped_a_byte_at_a_time_is_refused_at_its_first_byte",
        ),
    ),
)
