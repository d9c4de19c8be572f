"""C over lanes from a program and a pair."""

import functools
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from solvers.lanes.program import COMPARISONS, PARAMETER, TIME, Program, reached
from solvers.pairs import Pair

# Operations of a right-hand side, an elementary function being CALL of them. Up to FEW, two vectors side by side hide
# the time that each operation takes; up to MANY, there is enough to do in one. Beyond, a copy for every stage takes
# long to compile.
FEW, MANY, CALL = 150, 400, 20
# Of what is the same for all patients, taken once and not in every lane.
PLAIN = {
    **{"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "neg": "-({})"},
    **{"floor": "__builtin_floor({})", "ceil": "__builtin_ceil({})", "trunc": "__builtin_trunc({})"},
    **{op: f"{{}} {infix} {{}}" for op, infix in COMPARISONS.items()},
    **{"and": "{} & {}", "or": "{} | {}", "xor": "{} ^ {}", "not": "!{}", "select": "{} ? {} : {}"},
    **{"max": "largest({}, {})", "min": "least({}, {})"},
}
ELEMENTARY = {"exp", "exp2", "expm1", "log", "log1p", "tanh", "logistic", "sin", "cos", "tan", "pow"}


@functools.cache
def text(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def source(program: Program, pair: Pair) -> str:
    """A whole file: elementary functions, the program's own, and what marches them."""
    waits = program.waits()
    early = _early(program, waits)
    vectors, call = _shape(program, waits)
    writer = Writer(program, waits, {node: slot for slot, node in enumerate(early)}, vectors)
    autonomous = TIME not in [waits[i] for i in reached(program.nodes, program.slopes)]
    return "\n".join(
        [
            text("elementary.h"),
            f"enum {{ S = {len(program.states)}, P = {len(program.parameters)}, Q = {len(early)}, "
            f"O = {len(program.outputs)}, T = {len(program.tables)}, U = {vectors}, AUTONOMOUS = {int(autonomous)} }};",
            "#define SOME(n) ((n) ? (n) : 1) /* C has no empty arrays */",
            f"static const int64_t lengths_of[SOME(T)] = {{{', '.join(str(n) for _, n in program.tables) or 0}}};",
            "/* an argument that is left out where there are no tables */",
            f"#define TABLED(...) {'__VA_ARGS__' if program.tables else ''}",
            text("tables.h"),
            "static __attribute__((noinline)) void prepare(const vd *restrict p, vd *restrict q) {",
            *writer.early(early),
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


def _shape(program: Program, waits: list[int]) -> tuple[int, bool]:
    """Vectors a block, and whether the right-hand side is a call."""
    late = [program.nodes[i].op for i in reached(program.nodes, program.slopes) if waits[i] > PARAMETER]
    size = sum(CALL if op in ELEMENTARY else 1 for op in late)
    return (1 if FEW < size <= MANY else 2), size > MANY


def _early(program: Program, waits: list[int]) -> list[int]:
    """Nodes known before the first step that later ones, or results, need."""
    needed = [i for j, node in enumerate(program.nodes) if waits[j] > PARAMETER for i in node.args]
    needed += [*program.slopes, *program.outputs]
    return sorted({i for i in needed if waits[i] == PARAMETER and program.nodes[i].op != "constant"})


class Writer:
    def __init__(self, program: Program, waits: list[int], slots: dict[int, int], vectors: int) -> None:
        self.nodes, self.waits, self.slots, self.vectors = program.nodes, waits, slots, vectors
        self.plain: list[bool] = []
        for node in self.nodes:
            alone = node.op in PLAIN and all(self.plain[a] for a in node.args)
            self.plain.append(alone or node.op in ("constant", "time"))

    def early(self, roots: Sequence[int]) -> list[str]:
        return self.section(roots, "q", slotted=False)

    def late(self, roots: Sequence[int], target: str) -> list[str]:
        return self.section(roots, target, slotted=True)

    def section(self, roots: Sequence[int], target: str, slotted: bool) -> list[str]:
        def known(i: int) -> bool:
            return slotted and self.waits[i] == PARAMETER and not self.plain[i]

        inside: set[int] = set()
        stack = [i for i in roots if not known(i)]
        while stack:
            i = stack.pop()
            if i not in inside:
                inside.add(i)
                stack += [a for a in self.nodes[i].args if not known(a)]
        uses = Counter(a for i in inside for a in self.nodes[i].args) + Counter(roots)
        # a product that is read once, by a sum, is part of the sum
        fused: dict[int, int] = {}
        for i in sorted(inside):
            if self.nodes[i].op in ("add", "sub"):
                for a in self.nodes[i].args:
                    if (
                        a in inside
                        and not self.plain[a]
                        and self.nodes[a].op == "mul"
                        and uses[a] == 1
                        and i not in fused
                    ):
                        fused[i] = a
        gone = set(fused.values())
        lines = []
        for i in sorted(inside - gone):
            node = self.nodes[i]
            if node.op in ("constant", "state", "parameter", "time"):
                continue
            if self.plain[i]:
                kind = "int64_t" if self.logical(i) else "double"
                lines.append(f"    const {kind} s{i} = {PLAIN[node.op].format(*(self.once(a) for a in node.args))};")
                continue
            kind = "vl" if self.logical(i) else "vd"
            for u in range(self.vectors):
                lines.append(f"    const {kind} v{i}_{u} = {self.expression(i, fused.get(i), u, slotted)};")
        for number, i in enumerate(roots):
            for u in range(self.vectors):
                lines.append(f"    {target}[{number * self.vectors + u}] = {self.name(i, u, slotted)};")
        return lines

    def logical(self, i: int) -> bool:
        return self.nodes[i].op in COMPARISONS or self.nodes[i].op in ("and", "or", "not", "xor")

    def once(self, i: int) -> str:
        """A node that is the same for all, as one number."""
        node = self.nodes[i]
        return _number(float(node.given)) if node.op == "constant" else "t" if node.op == "time" else f"s{i}"

    def name(self, i: int, u: int, slotted: bool) -> str:
        node = self.nodes[i]
        number = int(node.given) * self.vectors + u if node.op in ("state", "parameter") else 0
        if node.op == "state":
            return f"y[{number}]"
        if self.plain[i]:
            return f"((vl){{0}} - {self.once(i)})" if self.logical(i) else f"B({self.once(i)})"
        if slotted and i in self.slots:
            slot = f"q[{self.slots[i] * self.vectors + u}]"
            return f"(vl){slot}" if self.logical(i) else slot
        return f"p[{number}]" if node.op == "parameter" else f"v{i}_{u}"

    def expression(self, i: int, product: int | None, u: int, slotted: bool) -> str:
        node = self.nodes[i]
        names = [self.name(a, u, slotted) for a in node.args]
        if product is not None:
            factors = ", ".join(self.name(a, u, slotted) for a in self.nodes[product].args)
            first = node.args[0] == product
            other = names[1] if first else names[0]
            function = "fma_" if node.op == "add" else ("fms_" if first else "fnma_")
            return f"{function}({factors}, {other})"
        if node.op == "lookup":
            place = self.once(node.args[0]) if self.plain[node.args[0]] else f"{names[0]}[0]"
            return f"lookup_(g, {int(node.given)}, {place}, {u})"
        if node.op in COMPARISONS:
            return f"(vl)({names[0]} {COMPARISONS[node.op]} {names[1]})"
        infix = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|", "xor": "^"}
        if node.op in infix:
            return f"{names[0]} {infix[node.op]} {names[1]}"
        if node.op in ("neg", "not"):
            return f"{'-' if node.op == 'neg' else '~'}({names[0]})"
        return f"{node.op}_({', '.join(names)})"


def _number(x: float) -> str:
    if math.isnan(x):
        return '__builtin_nan("")'
    return f"{'-' if x < 0 else ''}__builtin_inf()" if math.isinf(x) else repr(x)


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
        "    vl more = (vl)(n * *down > *up * m);",
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
