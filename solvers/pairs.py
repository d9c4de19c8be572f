"""Embedded Runge-Kutta pairs: two orders from the same stages, whose difference is the error of a step."""

from typing import NamedTuple


class Pair(NamedTuple):
    """Stage i is taken at time c[i] h and state y + h sum_j a[i][j] k_j; the step is y + h sum_i b[i] k_i.

    a: rows of the second stage and those after it. e: b less the weights of the lower order. order: of the step.
    fsal: the last stage is the first of the next step.
    """

    name: str
    order: int
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]
    e: tuple[float, ...]
    fsal: bool
    source: str

    @property
    def evaluations(self) -> int:
        """Of the right-hand side in a step that follows another."""
        return len(self.b) - self.fsal


TSITOURAS = Pair(
    "Tsitouras 5(4)",
    5,
    (
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (
            0.09646076681806523,
            0.01,
            0.4798896504144996,
            1.379008574103742,
            -3.290069515436081,
            2.324710524099774,
        ),
    ),
    (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774, 0.0),
    (0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0),
    (
        -0.001780011052225771,
        -0.0008164344596567469,
        0.007880878010261995,
        -0.1447110071732629,
        0.5823571654525552,
        -0.45808210592918697,
        0.015151515151515152,
    ),
    True,
    "Tsitouras 2011, Comput Math Appl 62:770",
)

BOGACKI_SHAMPINE = Pair(
    "Bogacki-Shampine 3(2)",
    3,
    ((1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
    (2 / 9, 1 / 3, 4 / 9, 0.0),
    (0.0, 1 / 2, 3 / 4, 1.0),
    (2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8),
    True,
    "Bogacki & Shampine 1989, Appl Math Lett 2:321",
)
