"""Ways to step through a tick, and how far each would lead the pilots astray."""

from collections.abc import Sequence

import numpy as np

from solvers.lived import FLOOR, Pilots
from solvers.solve import Plan

# fmt: off
COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 64,
          96, 128, 192, 256, 384, 512, 1024)
# fmt: on
HALVINGS = (0, 2, 4, 7, 10, 14, 18)
WAYS = sorted(((n, g) for n in COUNTS for g in HALVINGS), key=lambda way: (way[0] + way[1], way[0]))
# Of the exact tier, whose steps are parts of a tick halved again and again.
EXACT_WAYS = sorted(((2**n, g) for n in range(6) for g in range(13)), key=lambda way: (way[0] + way[1], way[0]))
NEGLIGIBLE = 1e-5  # of the tolerance: a tick that is as good as that needs no finer steps
SAMPLED = 256  # ticks looked at one by one; longer plans have the same steps in all


class Ways:
    """Ways to step through a tick, (steps, halvings), the cheapest first, tried one by one as they are asked for."""

    def __init__(self, plan: Plan, pilots: Pilots, ways: Sequence[tuple[int, int]]) -> None:
        ticks = np.arange(plan.ticks)
        if plan.ticks > SAMPLED:
            ticks = np.unique(np.linspace(0, plan.ticks - 1, SAMPLED).astype(int))
        lived, engine, self.single = pilots.lived, pilots.engine, pilots.again.single
        self.ways = ways
        self.errors: list[np.ndarray] = []
        self.each = len(ticks) == plan.ticks
        self.negligible = NEGLIGIBLE * engine.tolerance
        self.given = lived.acted[:, :, ticks], lived.p, plan.tick * ticks
        self.floors = np.asarray(engine.floors)
        # On the steps that led there, so that nothing is lost to others.
        self.end, self.true = self.single(*self.given, engine.counts[0], engine.halvings[0], self.floors)
        self.scale = np.abs(self.true) + 1e-3 * np.abs(pilots.truth).max(0)[:, :, None]

    def cheapest(self, bound: float) -> list[tuple[int, int]] | None:
        """For each tick, or for all, the first way whose error is at most `bound`; None where none is."""
        i, best = 0, np.full(len(self.given[2]) if self.each else 1, -1)
        while (best < 0).any():
            if i == len(self.errors) and not self._tried():
                return None
            best[(best < 0) & (self.errors[i] <= bound)] = i
            i += 1
        return [self.ways[i] for i in best]

    def _tried(self) -> bool:
        """Tries one way more: the largest error of any pilot, (tick,) or of all, of the states, relative to their
        largest, and of the outputs on the scale of the tolerance. False where there is none to try."""
        if len(self.errors) == len(self.ways) or (self.errors and self.errors[-1].max() <= self.negligible):
            return False
        got, seen = self.single(*self.given, *self.ways[len(self.errors)], self.floors)
        off = np.max(FLOOR * np.abs(got - self.end) / self.floors[:, None, None], axis=0)
        off = np.maximum(off, np.max(np.abs(seen - self.true) / np.where(self.scale > 0, self.scale, 1.0), axis=0))
        worst = np.nan_to_num(off, nan=np.inf).max(0)
        self.errors.append(worst if self.each else worst.max(keepdims=True))
        return True
