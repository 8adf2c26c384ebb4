"""The specification of every statistic: each module of this package that has a `SPECIFICATION`."""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.spec.specification import Specification


def specifications() -> "tuple[Specification, ...]":
    """All of them, in the order in which the statistics are listed."""
    from federated.statistics import STATISTICS

    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    found = [module.SPECIFICATION for module in modules if hasattr(module, "SPECIFICATION")]
    return tuple(sorted(found, key=lambda item: list(STATISTICS).index(item.code)))
