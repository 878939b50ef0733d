"""The minutes after a promotion: does the new champion answer without errors?

A share of a few requests says little: one broken connection among three requests is 33 %. So the question is whether
a champion that errs exactly as often as allowed would show so many errors by chance. Below 1 in 1,000 it would not, and
the bake fails. The bake is looked at again and again: at this level a champion that errs exactly as often as allowed is
failed in 0.5 % of bakes of 600 looks (at 1 in 100 in 5 %). With `max_error_rate` 1 %: 1 of 3 passes, 2 of 3 fails,
5 of 100 passes, 6 of 100 fails, 132 of 10,000 passes, 133 fails.
"""

from contracts.rollout import BakeReport
from policies.chance import tail

_CHANCE = 0.001


def bake(*, requests: int, errors: int, max_error_rate: float) -> BakeReport:
    """`errors` of `requests` since the promotion. No request at all is healthy, and the sentence says so.

    With `max_error_rate` 0 any error fails. Raises ValueError where errors exceed requests or a count is negative.
    """
    chance = tail(count=errors, of=requests, rate=max_error_rate)
    healthy = chance >= _CHANCE
    return BakeReport(
        healthy=healthy, requests=requests, errors=errors, sentence=_sentence(requests, errors, max_error_rate, healthy)
    )


def _sentence(requests: int, errors: int, most: float, healthy: bool) -> str:
    if not requests:
        return "No request came during the bake, so nothing went wrong and nothing was shown."
    if not errors:
        return f"All {requests:,} requests were answered without an error."
    rate = errors / requests
    seen = f"{errors:,} of {requests:,} requests failed ({rate:.1%}, allowed {most:.1%})"
    if not healthy:
        return f"{seen}: more than chance explains."
    return f"{seen}: chance explains that many at the allowed rate." if rate > most else f"{seen}."
