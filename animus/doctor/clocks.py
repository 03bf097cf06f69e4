"""Whether the clocks agree: this machine's, the provider's, the API's, and that of whoever issues the tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from animus.doctor.finding import Finding, failed, passed, skipped

CHECK = "clock"
_AGREE = 5.0  # seconds: the Date header has whole seconds, and an answer is on its way for some time
_TOO_FAR = 60.0  # the margin within which tokens are renewed
_OURS = "Set the clock of this machine (NTP)"


@dataclass(frozen=True, slots=True)
class Sighting:
    """Another clock, seen beside ours.

    Attributes:
        whose: Whose it is.
        theirs: Unix seconds it showed.
        ours: Unix seconds that ours showed then.
    """

    whose: str
    theirs: float
    ours: float

    @property
    def ahead(self) -> float:
        """Seconds it is ahead of ours."""
        return self.theirs - self.ours


def check_clocks(sightings: Sequence[Sighting], claims: Mapping[str, Any]) -> Finding:
    """Compare the clocks; ``claims`` are those of the token, of one that is over, too."""
    issued = max((value for value in map(_number, (claims.get("iat"), claims.get("nbf"))) if value is not None), default=None)
    if not sightings:
        return skipped(CHECK, "no answer says what time it is (Date)")
    worst = max(sightings, key=lambda seen: abs(seen.ahead))
    if abs(worst.ahead) > _TOO_FAR:
        return _apart(worst, sightings, issued)
    best = min(sightings, key=lambda seen: abs(seen.ahead))
    if issued is not None and issued - best.theirs > _TOO_FAR:
        return failed(
            CHECK,
            f"the token says that it was issued, or begins, {_span(issued - best.theirs)} in the future",
            reason="issuer_clock",
            advice="The clock of whoever issues tokens is ahead: set it (NTP); others may refuse such a token as not valid yet",
        )
    owners = " and ".join(seen.whose for seen in sightings)
    text = f"the time of {owners} agrees with ours within {max(abs(worst.ahead), 1):.0f} s"
    return passed(CHECK, text, f"A few seconds do no harm here. {_OURS} all the same" if abs(worst.ahead) > _AGREE else None)


def _apart(worst: Sighting, sightings: Sequence[Sighting], issued: float | None) -> Finding:
    """Say whose clock is wrong, as far as a third one tells."""
    said = f"the clock of {worst.whose} is {_span(worst.ahead)} {'ahead of' if worst.ahead > 0 else 'behind'} ours"
    others = [seen.ahead for seen in sightings if seen is not worst]
    if not others and issued is not None and issued - worst.theirs > _TOO_FAR:
        others = [issued - worst.ours]  # it cannot have been issued after it arrived
    if any(abs(ahead) < abs(ahead - worst.ahead) for ahead in others):
        advice = f"Others agree with ours: set the clock of {worst.whose} (NTP), or see whether something in between keeps old answers"
        return failed(CHECK, said, reason="their_clock", advice=advice)
    advice = f"{_OURS}. This package allows for it as far as tokens go, but certificates and other tools do not"
    return failed(CHECK, said, reason="our_clock", advice=advice)


def _span(seconds: float) -> str:
    seconds = abs(seconds)
    for size, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15 else None
