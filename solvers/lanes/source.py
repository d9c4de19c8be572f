"""C over lanes from a program and a pair."""

import functools
from collections.abc import Sequence
from pathlib import Path

from solvers.lanes.program import PARAMETER, TIME, Program, reached
from solvers.lanes.writer import Writer, early
from solvers.pairs import Pair

# Operations of a right-hand side, an elementary function being CALL of them. Up to FEW, two vectors side by side hide
# the time that each operation takes; up to MANY, there is enough to do in one. Beyond, a copy for every stage takes
# long to compile.
FEW, MANY, CALL = 150, 400, 20
ELEMENTARY = {"exp", "exp2", "expm1", "log", "log1p", "tanh", "logistic", "sin", "cos", "tan", "pow"}


@functools.cache
def text(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def source(program: Program, pair: Pair) -> str:
    """A whole file: elementary functions, the program's own, and what marches them."""
    waits = program.waits()
    known = early(program, waits)
    vectors, call = _shape(program, waits)
    writer = Writer(program, waits, {node: slot for slot, node in enumerate(known)}, vectors)
    autonomous = TIME not in [waits[i] for i in reached(program.nodes, program.slopes)]
    return "\n".join(
        [
            text("elementary.h"),
            f"enum {{ S = {len(program.states)}, P = {len(program.parameters)}, Q = {len(known)}, "
            f"O = {len(program.outputs)}, T = {len(program.tables)}, U = {vectors}, AUTONOMOUS = {int(autonomous)} }};",
            "#define SOME(n) ((n) ? (n) : 1) /* C has no empty arrays */",
            f"static const int64_t lengths_of[SOME(T)] = {{{', '.join(str(n) for _, n in program.tables) or 0}}};",
            "/* an argument that is left out where there are no tables */",
            f"#define TABLED(...) {'__VA_ARGS__' if program.tables else ''}",
            text("tables.h"),
            "static __attribute__((noinline)) void prepare(const vd *restrict p, vd *restrict q) {",
            *writer.early(known),
            "}",
            f"static {'__attribute__((noinline))' if call else 'inline __attribute__((always_inline))'}",
            "void slopes(double t, const vd *restrict y, const vd *restrict q, vd *restrict k",
            "            TABLED(, const Tables *g)) {",
            *writer.late(program.slopes, "k"),
            "}",
            "static __attribute__((noinline))",
            "void seen(double t, const vd *restrict y, const vd *restrict q, vd *restrict o",
            "          TABLED(, const Tables *g)) {",
            *writer.late(program.outputs, "o"),
            "}",
            *_step(len(program.states), vectors, pair),
            text("march.h"),
        ]
    )


def turning(program: Program) -> str:
    """A whole file for a program whose slopes are the next values of its states."""
    waits = program.waits()
    known = early(program, waits)
    writer = Writer(program, waits, {node: slot for slot, node in enumerate(known)}, vectors=1)
    return "\n".join(
        [
            text("elementary.h"),
            f"enum {{ S = {len(program.states)}, P = {len(program.parameters)}, Q = {len(known)}, U = 1 }};",
            "#define SOME(n) ((n) ? (n) : 1) /* C has no empty arrays */",
            "static __attribute__((noinline)) void prepare(const vd *restrict p, vd *restrict q) {",
            *writer.early(known),
            "}",
            "static __attribute__((noinline)) void turn(double t, vd *restrict y, const vd *restrict q) {",
            *writer.late(program.slopes, "y", in_place=True),
            "}",
            text("recurrence.h"),
        ]
    )


def _shape(program: Program, waits: list[int]) -> tuple[int, bool]:
    """Vectors a block, and whether the right-hand side is a call."""
    late = [program.nodes[i].op for i in reached(program.nodes, program.slopes) if waits[i] > PARAMETER]
    size = sum(CALL if op in ELEMENTARY else 1 for op in late)
    return (1 if FEW < size <= MANY else 2), size > MANY


def _step(states: int, vectors: int, pair: Pair) -> list[str]:
    """The steps of a block, in straight text: what is kept in registers is for the compiler to say."""
    width, last = states * vectors, len(pair.b) - 1
    ends = pair.fsal and tuple(pair.a[-1]) == tuple(pair.b[:-1])  # the last stage is taken at the step's end
    weights: list[float] = []

    def weighted(row: Sequence[float], i: int, start: str | None) -> str:
        text = start
        for j, w in enumerate(row):
            if w:
                if w not in weights:
                    weights.append(w)
                a = f"a[{weights.index(w)}]"
                text = f"fma_({a}, k{j}[{i}], {text})" if text else f"{a} * k{j}[{i}]"
        return text or "B(0.0)"

    # The loop's invariants stay in memory, where operations read them: out of the loop they would only be spilled.
    body = ['        __asm__("" : "+r"(q), "+r"(a), "+r"(floors));']
    for stage in range(1, last + 1):
        end = ends and stage == last
        to = "y" if end else "z"
        body += [f"        {to}[{i}] = {weighted(pair.a[stage - 1], i, f'y[{i}]')};" for i in range(width)]
        if end:
            body += [f"        d[{i}] = {weighted(pair.e[:-1], i, None)};" for i in range(width)]
        body += [f"        slopes(t + {pair.c[stage]!r} * h, {to}, q, k{stage} TABLED(, g));"]
    if ends:
        body += [f"        d[{i}] = {weighted([0.0] * last + [pair.e[-1]], i, f'd[{i}]')};" for i in range(width)]
    else:
        body += [f"        d[{i}] = {weighted(pair.e, i, None)};" for i in range(width)]
        body += [f"        y[{i}] = {weighted(pair.b, i, f'y[{i}]')};" for i in range(width)]
    for u in range(vectors):
        # The largest of fractions, by one division.
        body.append(f"        vd up{u} = abs_(d[{u}]), down{u} = abs_(y[{u}]) + floors[0], n{u}, m{u};")
        for s in range(1, states):
            i = s * vectors + u
            body.append(f"        n{u} = abs_(d[{i}]), m{u} = abs_(y[{i}]) + floors[{s}];")
            body.append(f"        larger_(n{u}, m{u}, &up{u}, &down{u});")
        body.append(f"        error[{u}] += up{u} / down{u};")
    body.append("        t += h;")
    if pair.fsal:
        body += [f"        k0[{i}] = k{last}[{i}];" for i in range(width)]
    else:
        body += ["        slopes(t, y, q, k0 TABLED(, g));"]
    return [
        "/* march.h looks for a nan */",
        "INLINE void larger_(vd n, vd m, vd *up, vd *down) {",
        "    vm more = lt_(*up * m, n * *down);",
        "    *up = select_(more, n, *up), *down = select_(more, m, *down);",
        "}",
        f"enum {{ TABLEAU = {len(weights)} }};",
        f"static const double tableau[] = {{{', '.join(repr(w) for w in weights)}}};",
        "static __attribute__((noinline))",
        "void begin(double t, const vd *y, const vd *q, vd *k TABLED(, const Tables *g)) {",
        "    slopes(t, y, q, k TABLED(, g));",
        "}",
        "/* `count` steps of h; a: the tableau times h; slope: of the state, before and after. Returns the time. */",
        "static __attribute__((noinline)) double step(double t, double h, int64_t count, const vd *restrict a,",
        "    const double *restrict floors, const vd *restrict q, vd *restrict state, vd *restrict slope,",
        "    vd *restrict errors TABLED(, const Tables *g)) {",
        f"    vd y[{width}], error[{vectors}], {', '.join(f'k{j}[{width}]' for j in range(last + 1))};",
        *(f"    y[{i}] = state[{i}], k0[{i}] = slope[{i}];" for i in range(width)),
        *(f"    error[{u}] = errors[{u}];" for u in range(vectors)),
        "    do {",
        f"        vd z[{width}], d[{width}];",
        *body,
        "    } while (--count);",
        *(f"    state[{i}] = y[{i}], slope[{i}] = k0[{i}];" for i in range(width)),
        *(f"    errors[{u}] = error[{u}];" for u in range(vectors)),
        "    return t;",
        "}",
    ]
