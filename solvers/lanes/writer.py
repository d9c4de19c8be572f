"""Operations on lanes as text in C."""

import math
from collections import Counter
from collections.abc import Sequence

from solvers.lanes.program import COMPARISONS, PARAMETER, Program

# Of what is the same for all patients, taken once and not in every lane.
PLAIN = {
    **{"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "neg": "-({})"},
    **{"floor": "__builtin_floor({})", "ceil": "__builtin_ceil({})", "trunc": "__builtin_trunc({})"},
    **{op: f"{{}} {infix} {{}}" for op, infix in COMPARISONS.items()},
    **{"and": "{} & {}", "or": "{} | {}", "xor": "{} ^ {}", "not": "!{}", "select": "{} ? {} : {}"},
    **{"max": "largest({}, {})", "min": "least({}, {})"},
}
BOUNDS = {"max": "atleast_", "min": "atmost_"}  # where one of the two is a number
QUARTER = 0.5 * math.pi
MIRRORED = {"gt": "lt", "ge": "le"}


def early(program: Program, waits: list[int]) -> list[int]:
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

    def late(self, roots: Sequence[int], target: str, in_place: bool = False) -> list[str]:
        """in_place: the results are the states' next values, and `target` is where the states are."""
        return self.section(roots, target, slotted=True, in_place=in_place)

    def section(self, roots: Sequence[int], target: str, slotted: bool, in_place: bool = False) -> list[str]:
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
        groups: list[list[str]] = [[]]  # lines before any operation, then those of each
        made: dict[int, int] = {}
        read: dict[int, int] = {}
        for i in sorted(inside - gone):
            node = self.nodes[i]
            if node.op in ("constant", "state", "parameter", "time"):
                continue
            groups.append(self.operation(i, fused.get(i), slotted))
            made[i] = len(groups) - 1
            for a in (*node.args, *(self.nodes[fused[i]].args if i in fused else ())):
                if self.nodes[a].op == "state":
                    read[int(self.nodes[a].given)] = made[i]
        # A result is handed on at once, so that it need not be kept; in place, when what it replaces was read.
        for number, i in enumerate(roots):
            place = max(made.get(i, 0), read.get(number, 0) if in_place else 0)
            groups[place] += self.result(number, i, target, slotted, in_place, groups[0])
        return [line for group in groups for line in group]

    def operation(self, i: int, product: int | None, slotted: bool) -> list[str]:
        node = self.nodes[i]
        if self.plain[i]:
            kind = "int64_t" if self.logical(i) else "double"
            return [f"    const {kind} s{i} = {PLAIN[node.op].format(*(self.once(a) for a in node.args))};"]
        kind = "vm" if self.logical(i) else "vd"
        return [f"    const {kind} v{i}_{u} = {self.expression(i, product, u, slotted)};" for u in range(self.vectors)]

    def result(self, number: int, i: int, target: str, slotted: bool, in_place: bool, before: list[str]) -> list[str]:
        """What hands on a node as a result; what it needs of the old states is added to the lines `before`."""
        moved = in_place and self.nodes[i].op == "state"
        if moved and int(self.nodes[i].given) == number:
            return []
        lines = []
        for u in range(self.vectors):
            value = self.name(i, u, slotted)
            if moved:
                before.append(f"    const vd old{number}_{u} = {value};")
                value = f"old{number}_{u}"
            elif self.logical(i):
                value = f"bits_({value})"
            lines.append(f"    {target}[{number * self.vectors + u}] = {value};")
        return lines

    def logical(self, i: int) -> bool:
        return self.nodes[i].op in COMPARISONS or self.nodes[i].op in ("and", "or", "not", "xor")

    def bound(self, i: int) -> int | None:
        """The operand of a maximum or minimum that is a number, None where there is no such."""
        for a in self.nodes[i].args:
            if self.nodes[a].op == "constant" and not math.isnan(self.nodes[a].given):
                return a
        return None

    def near(self, i: int) -> bool:
        """Whether a node is cut off at a quarter turn on either side."""
        most = {"min": math.inf, "max": -math.inf}
        while self.nodes[i].op in BOUNDS and (bound := self.bound(i)) is not None:
            op, (first, second) = self.nodes[i].op, self.nodes[i].args
            most[op] = (min if op == "min" else max)(most[op], self.nodes[bound].given)
            i = second if first == bound else first
        return -QUARTER <= most["max"] <= most["min"] <= QUARTER

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
            return f"all_({self.once(i)})" if self.logical(i) else f"B({self.once(i)})"
        if slotted and i in self.slots:
            slot = f"q[{self.slots[i] * self.vectors + u}]"
            return f"from_bits_({slot})" if self.logical(i) else slot
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
            # of a comparison and its mirror image one is enough
            names, op = (names[::-1], MIRRORED[node.op]) if node.op in MIRRORED else (names, node.op)
            return f"{op}_({', '.join(names)})"
        infix = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|", "xor": "^"}
        if node.op in infix:
            return f"{names[0]} {infix[node.op]} {names[1]}"
        if node.op in ("neg", "not"):
            return f"{'-' if node.op == 'neg' else '~'}({names[0]})"
        if node.op in BOUNDS and (bound := self.bound(i)) is not None:
            other = names[node.args[0] == bound]
            return f"{BOUNDS[node.op]}({other}, {self.once(bound)})"
        if node.op == "sin" and self.near(node.args[0]):
            return f"sin_near_({names[0]})"
        return f"{node.op}_({', '.join(names)})"


def _number(x: float) -> str:
    if math.isnan(x):
        return '__builtin_nan("")'
    return f"{'-' if x < 0 else ''}__builtin_inf()" if math.isinf(x) else repr(x)
