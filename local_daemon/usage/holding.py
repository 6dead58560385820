"""What of a budget can't be held with an executor, in words for who asks for the work.

An executor that tells what it uses at its end only, or never, can't be stopped by a budget of that. Said when work is
submitted, and never a reason to refuse it: time holds with all of them, and a person may take the rest upon them. Pure.
Called by the handlers that submit steps. Tests: tests/unit/daemon/usage/test_holding.py.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from local_daemon.protocol.messages import BudgetsView
from local_daemon.protocol.policies import Budget
from local_daemon.protocol.states import BudgetHold

_LACKING: Mapping[BudgetHold, str] = MappingProxyType(
    {
        BudgetHold.END: "can't stop {executor} while it works: it tells what it used at its end only",
        BudgetHold.NEVER: "does not hold with {executor}: it does not tell what it used",
    }
)
_HOLDS = "a budget of time (duration_s) holds"


def unheld(budget: Budget, *, whose: str, executor: str, held: BudgetsView | None) -> Iterator[str]:
    """Each kind of use that this budget limits and the executor can't be stopped by; `held` is None where it uses
    nothing."""
    if held is None:
        return
    is_of_tokens = budget.input_tokens is not None or budget.output_tokens is not None
    for what, is_limited, hold in (
        ("tokens", is_of_tokens, held.tokens),
        ("dollars", budget.cost_usd is not None, held.cost_usd),
    ):
        if is_limited and hold in _LACKING:
            yield f"the {whose}'s budget of {what} {_LACKING[hold].format(executor=executor)}; {_HOLDS}"
