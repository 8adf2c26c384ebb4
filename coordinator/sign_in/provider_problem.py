"""What is said when the OpenID provider cannot be used, or is not to be believed."""

from federated.errors import TransportError

__all__ = ["ProviderProblem"]


class ProviderProblem(TransportError):
    """The provider cannot be reached, or what it said is not right; never repeats what it said."""
