"""The coordinator's settings: one YAML file, read strictly; what each field means is said beside it.

`docs/reference/coordinator-settings.md` is the same list for people, and a test holds the two together.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from federated.errors import FileProblem
from federated.round_limit import ROUND_LIMIT
from federated.trust import TrustSettings
from federated.yaml_document import read_form

__all__ = [
    "DEFAULT_FILE",
    "IN_A_ROUND",
    "BoundarySettings",
    "ConsoleSettings",
    "Listen",
    "OpenIdSettings",
    "OperationsSettings",
    "ProposalSettings",
    "RetentionSettings",
    "RoundSettings",
    "Settings",
    "SignInSettings",
    "StageTimeouts",
    "TlsFiles",
    "load_settings",
]

DEFAULT_FILE: Final = Path("coordinator.yaml")
_REMEDY: Final = "See docs/reference/coordinator-settings.md."
_DAY_S: Final = 86_400
_NODES_OWN_LIMIT: Final = 64
"""Rounds that a council node takes part in at once; it refuses one more as busy."""
IN_A_ROUND: Final = ("advert", "key_shares", "masked_input", "confirmation", "opening", "unmask", "delivery")
"""Stages between a council's answer to the invitation and the answer that it keeps."""

Days = Annotated[int, Field(ge=1, le=36_600)]
Seconds = Annotated[float, Field(gt=0, le=_DAY_S)]
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
Contact = Annotated[str, Field(min_length=1, max_length=300)] | None
FilePath = Annotated[str, Field(min_length=1, max_length=1000)]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Listen(_Block):
    """Where councils and analysts connect to."""

    host: Annotated[str, Field(min_length=1, max_length=255, description="Name or address to listen on.")] = "0.0.0.0"  # noqa: S104 - a server's purpose; examples and tests bind loopback
    port: Annotated[int, Field(ge=0, le=65_535, description="TCP port; 0 lets the system choose one.")] = 7443


class TlsFiles(_Block):
    """The certificate councils and analysts verify."""

    certificate: Annotated[FilePath, Field(description="Certificate chain, PEM.")]
    key: Annotated[FilePath, Field(description="Its private key, PEM, readable by its owner alone.")]


class StageTimeouts(_Block):
    """Seconds each stage waits for councils before it goes on without them."""

    decision: Annotated[Seconds, Field(description="For the decision on a proposal; a person may take longer.")] = 60
    hold: Annotated[Seconds, Field(description="For the mask holder's key, before any council is invited.")] = 60
    advert: Annotated[Seconds, Field(description="For the answer to an invitation.")] = 60
    key_shares: Annotated[Seconds, Field(description="For the key shares.")] = 60
    masked_input: Annotated[Seconds, Field(description="For the masked input; the query itself is run here.")] = 600
    confirmation: Annotated[Seconds, Field(description="For the signed statement of who survived.")] = 60
    opening: Annotated[Seconds, Field(description="For the mask holder's part in opening the sum.")] = 60
    unmask: Annotated[Seconds, Field(description="For the shares that unmask the sum.")] = 60
    delivery: Annotated[Seconds, Field(description="For the receipt of a release, a roster or an abort.")] = 60
    budget: Annotated[Seconds, Field(description="For a budget statement.")] = 15
    reconnect: Annotated[
        float,
        Field(
            ge=0,
            le=_DAY_S,
            description="How long a stage waits for councils whose connection is lost, when all others have answered.",
        ),
    ] = 10

    @model_validator(mode="after")
    def _councils_live_through_a_round(self) -> Self:
        # Every council would end the round after its charge, and none would have an answer for it.
        most = ROUND_LIMIT / timedelta(seconds=1)
        longest = sum(getattr(self, name) for name in IN_A_ROUND)
        if longest > most:
            raise ValueError(
                f"come to {longest:,.0f} seconds in one round, but every council ends a round after {most:,.0f}, and "
                f"the charge stands: shorten {', '.join(IN_A_ROUND[:-1])} or {IN_A_ROUND[-1]}"
            )
        return self


class ProposalSettings(_Block):
    """How the councils' decisions are collected."""

    ask_again: Annotated[Seconds, Field(description="Councils that are still deciding are asked again this often.")] = (
        60
    )
    opening_wait: Annotated[
        float,
        Field(
            ge=0,
            le=90 * _DAY_S,
            description="Once enough have approved, how long the others are still waited for, from the first asking.",
        ),
    ] = 60
    lease: Annotated[
        Seconds, Field(description="A coordinator not heard of for this long may be replaced by one that stands by.")
    ] = 60


class RoundSettings(_Block):
    """How many rounds run at once; of the others, the analyst with the fewest running goes first."""

    at_once: Annotated[
        int, Field(ge=1, le=_NODES_OWN_LIMIT, description="Rounds that run together, without those that take long.")
    ] = 4
    at_most: Annotated[int, Field(ge=1, le=_NODES_OWN_LIMIT, description="Rounds that run together, all counted.")] = 20
    long: Annotated[Seconds, Field(description="A round that takes longer no longer holds up the next.")] = 10
    drain: Annotated[
        float, Field(ge=0, le=_DAY_S, description="On stopping, how long rounds under way are given to end.")
    ] = 30


class RetentionSettings(_Block):
    """Days after which records without an answer are deleted. How long an answer is kept, its manifest says."""

    enrolments: Annotated[Days, Field(description="Days: enrolment requests that were never accepted.")] = 90
    reads: Annotated[Days, Field(description="Days: who has fetched which release.")] = 1096
    timings: Annotated[Days, Field(description="Days: how long the stages of a round took.")] = 365
    inbox: Annotated[Days, Field(description="Days: what became of a question that was handed in over the web.")] = 30


class OperationsSettings(_Block):
    """Where health and metrics are told; keep it to this computer or a network of its own."""

    host: Annotated[str, Field(min_length=1, max_length=255, description="Address for health and metrics.")] = (
        "127.0.0.1"
    )
    port: Annotated[
        int | None, Field(ge=1, le=65_535, description="TCP port for health and metrics; off when left out.")
    ] = None


class BoundarySettings(_Block):
    """Boundaries of the regions, for the maps of answers."""

    file: Annotated[
        FilePath, Field(description="GeoJSON feature collection in longitude and latitude, a shape for each region.")
    ]
    code_property: Annotated[
        str, Field(min_length=1, max_length=100, description="Property of its features that holds the region's code.")
    ] = "code"
    source: Annotated[
        str,
        Field(max_length=500, description="Whom each map names as the source of the boundaries, as licences ask."),
    ] = ""


class ConsoleListen(_Block):
    """Where the web pages are served."""

    host: Annotated[str, Field(min_length=1, max_length=255, description="Name or address the pages listen on.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Field(ge=0, le=65_535, description="TCP port; 0 lets the system choose one.")] = 7444


class ConsoleContacts(_Block):
    """Whom readers of the web pages can ask."""

    questions: Annotated[Contact, Field(description="Where anyone can ask about these statistics.")] = None
    complaints: Annotated[Contact, Field(description="Where anyone can complain, and who decides.")] = None
    accessibility: Annotated[
        Contact, Field(description="Whom to tell that a page cannot be used; `console.contacts.questions` if left out.")
    ] = None


RoleName = Literal["analyst", "reviewer", "operator", "observer"]
ClaimValue = Annotated[str, Field(min_length=1, max_length=200)]
Issuer = Annotated[
    str,
    Field(
        pattern=r"^(https://[A-Za-z0-9.-]+|http://(127\.0\.0\.1|localhost))(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$",
        max_length=500,
    ),
]


class OpenIdSettings(_Block):
    """The OpenID Connect provider whose people may sign in."""

    issuer: Annotated[
        Issuer, Field(description="Its address, exactly as it names itself; plain HTTP on loopback alone.")
    ]
    client_id: Annotated[str, Field(min_length=1, max_length=200, description="As the provider knows these pages.")]
    client_secret_file: Annotated[FilePath, Field(description="File that holds the client secret alone.")]
    scopes: Annotated[tuple[ClaimValue, ...], Field(description="Scopes to ask for beside `openid`.")] = ()
    roles_claim: Annotated[ClaimValue, Field(description="Claim of the ID token that lists a person's groups.")] = (
        "roles"
    )
    roles: Annotated[dict[ClaimValue, RoleName], Field(min_length=1, description="Role by value of that claim.")]
    agreements: Annotated[
        dict[ClaimValue, tuple[str, ...]], Field(description="Ids of agreements by value of the same claim.")
    ] = {}


class SignInSettings(_Block):
    """How people sign in to the pages."""

    local: Annotated[bool, Field(description="Whether accounts with a password of their own may sign in.")] = True
    openid: Annotated[
        OpenIdSettings | None, Field(description="An OpenID Connect provider; see the page on signing in.")
    ] = None
    separate_people: Annotated[
        bool,
        Field(description="Nobody has both an account kept here and one of the provider: one of each are two people."),
    ] = False


class ConsoleSettings(_Block):
    """The web pages of `coordinator console`."""

    listen: Annotated[ConsoleListen, Field(description="Where to listen.")] = ConsoleListen()
    public_address: Annotated[
        str | None,
        Field(
            pattern=r"^https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?$",
            description="How people reach the pages, such as `https://statistics.example`: every other address is "
            "refused. Made from `console.listen` when left out.",
        ),
    ] = None
    behind_proxy: Annotated[
        bool,
        Field(description="A proxy on this computer speaks TLS: the pages are plain HTTP and must listen on loopback."),
    ] = False
    publish: Annotated[
        tuple[str, ...],
        Field(
            max_length=1000,
            description="Ids of the agreements whose figures anyone may see. Of all others the public sees that there "
            "is an answer and how it was made.",
        ),
    ] = ()
    comment_days: Annotated[
        int,
        Field(ge=0, le=365, description="Days that councils have to comment before a published figure is public."),
    ] = 14
    contacts: Annotated[ConsoleContacts, Field(description="Whom to ask.")] = ConsoleContacts()
    sign_in: Annotated[
        SignInSettings | None, Field(description="Signing in; when left out, only the public pages can be seen.")
    ] = None

    @model_validator(mode="after")
    def _proxy_is_near(self) -> Self:
        if self.behind_proxy and self.listen.host not in LOOPBACK:
            raise ValueError(
                "is behind a proxy, so it must listen on loopback (127.0.0.1): nothing else may reach it without TLS"
            )
        if self.behind_proxy and self.public_address is None:
            raise ValueError("is behind a proxy, so public_address must say how people reach it")
        return self

    def placed(self, place: Callable[[str], str]) -> Self:
        """The same with every path taken from the settings file's folder."""
        if self.sign_in is None or self.sign_in.openid is None:
            return self
        secret = place(self.sign_in.openid.client_secret_file)
        openid = self.sign_in.openid.model_copy(update={"client_secret_file": secret})
        return self.model_copy(update={"sign_in": self.sign_in.model_copy(update={"openid": openid})})


class Settings(_Block):
    """Everything `coordinator serve` needs to know."""

    coordinator: Annotated[Literal[1], Field(description="Version of this form.")]
    id: Annotated[
        str,
        Field(
            pattern=r"^[!-~]{1,32}$", description="As the roster names this coordinator; it goes into every round id."
        ),
    ]
    name: Annotated[str, Field(min_length=1, max_length=120, description="For people.")]
    state: Annotated[FilePath, Field(description="Folder for the database and the identity of this coordinator.")] = (
        "state"
    )
    key: Annotated[FilePath, Field(description="Private identity key, made by `coordinator init`.")] = "coordinator.pem"
    listen: Annotated[Listen, Field(description="Where to listen.")] = Listen()
    tls: Annotated[TlsFiles, Field(description="Certificate and key for TLS.")]
    database: Annotated[
        str | None,
        Field(
            max_length=1000, description="SQLAlchemy address of the database; SQLite in the state folder when left out."
        ),
    ] = None
    trust: Annotated[TrustSettings, Field(description="Keys whose rosters and agreements are handed on.")]
    agreements: Annotated[FilePath, Field(description="Folder of the signed agreements.")] = "agreements"
    stages: Annotated[StageTimeouts, Field(description="Deadlines.")] = StageTimeouts()
    proposals: Annotated[ProposalSettings, Field(description="Collecting decisions.")] = ProposalSettings()
    rounds: Annotated[RoundSettings, Field(description="Starting rounds.")] = RoundSettings()
    console: Annotated[ConsoleSettings, Field(description="The web pages.")] = ConsoleSettings()
    boundaries: Annotated[
        BoundarySettings | None,
        Field(description="Boundaries for the maps of answers; when left out, their features have no geometry."),
    ] = None
    retention: Annotated[RetentionSettings, Field(description="Deleting what is old.")] = RetentionSettings()
    operations: Annotated[OperationsSettings, Field(description="Health and metrics.")] = OperationsSettings()

    def placed(self, folder: Path) -> Self:
        """The same settings with every path taken from `folder` where it is relative."""

        def place(path: str) -> str:
            return str(folder / path)

        tls = self.tls.model_copy(update={"certificate": place(self.tls.certificate), "key": place(self.tls.key)})
        paths = {name: place(getattr(self, name)) for name in ("state", "key", "agreements")}
        console = self.console.placed(place)
        shapes = self.boundaries and self.boundaries.model_copy(update={"file": place(self.boundaries.file)})
        return self.model_copy(update={"tls": tls, "console": console, "boundaries": shapes, **paths})

    @property
    def database_url(self) -> str:
        """Address of the database."""
        return self.database or f"sqlite:///{Path(self.state).resolve() / 'coordinator.db'}"


def load_settings(path: Path) -> Settings:
    """Read the settings file; paths in it are taken from its own folder.

    Raises:
        FileProblem: Missing, or a field is wrong; names the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileProblem(
            f"{path}: the settings file cannot be read ({error.strerror}).",
            remedy="Name it with --settings, or make one with 'coordinator init'.",
        ) from error
    return read_form(Settings, content, source=str(path), remedy=_REMEDY).placed(path.resolve().parent)
