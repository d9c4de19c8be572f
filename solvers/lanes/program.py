"""A patient's equations as a list of scalar operations, from their jaxpr."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

PARAMETER, STATE, TIME = 0, 1, 2  # what a node waits for: nothing but parameters, a state, the time


class Node(NamedTuple):
    """One operation on the nodes before it. `given` is a constant's value, or the number of a state or parameter."""

    op: str
    args: tuple[int, ...] = ()
    given: float | int = 0


@dataclasses.dataclass(frozen=True)
class Program:
    """tables: names and lengths. slopes, outputs: numbers of nodes. unknown: a primitive that has no C, or '' where all
    have."""

    states: tuple[str, ...]
    parameters: tuple[str, ...]
    tables: tuple[tuple[str, int], ...]
    nodes: tuple[Node, ...]
    slopes: tuple[int, ...]
    outputs: tuple[int, ...]
    unknown: str

    def waits(self) -> list[int]:
        """For each node, the latest of PARAMETER, STATE, TIME that it needs."""
        levels: list[int] = []
        for node in self.nodes:
            own = {"state": STATE, "time": TIME, "lookup": TIME}.get(node.op, PARAMETER)
            levels.append(max([own, *(levels[i] for i in node.args)]))
        return levels

    def read_by_slopes(self) -> set[int]:
        """Numbers of the tables that the slopes read."""
        return {int(self.nodes[i].given) for i in reached(self.nodes, self.slopes) if self.nodes[i].op == "lookup"}


class UnknownPrimitive(Exception):
    """An operation that cannot be written in C."""


def program(
    rhs: Callable[[Any, tuple, tuple], Any],
    outputs: Callable[[Any, tuple, tuple], Any],
    states: Sequence[str],
    parameters: Sequence[str],
    tables: Sequence[tuple[str, int]] = (),
) -> Program:
    """Traces rhs(t, y, p) -> a slope a state, and outputs(t, y, p) -> any number of scalars, for one patient.

    y, p: tuples of scalars in the order of `states` and `parameters`; after the parameters, arrays (length,) in the
    order of `tables`, which are read one number at a time, at a place that depends on the time alone. Equal expressions
    are kept once, dead ones dropped. Raises ValueError where rhs does not give one slope a state.
    """

    def both(t: Any, y: tuple, p: tuple) -> tuple[list, list]:
        slopes, seen = jax.tree.leaves(rhs(t, y, p)), jax.tree.leaves(outputs(t, y, p))
        if len(slopes) != len(states):
            raise ValueError(f"rhs gives {len(slopes)} slopes for {len(states)} states; give one a state, in order")
        return [jnp.asarray(v, float) for v in slopes], [jnp.asarray(v, float) for v in seen]

    scalar = jax.ShapeDtypeStruct((), float)
    given = (scalar,) * len(parameters) + tuple(jax.ShapeDtypeStruct((length,), float) for _, length in tables)
    closed, shapes = jax.make_jaxpr(both, return_shape=True)(scalar, (scalar,) * len(states), given)
    graph = _Graph()
    inputs: list[int | Table] = [graph.node("time")]
    inputs += [graph.node("state", (), i) for i in range(len(states))]
    inputs += [graph.node("parameter", (), i) for i in range(len(parameters))]
    inputs += [Table(i) for i in range(len(tables))]
    unknown, roots = "", []
    try:
        roots = graph.inline(closed.jaxpr, closed.consts, inputs)
    except UnknownPrimitive as error:
        unknown = str(error)
    nodes, roots = _live(graph.nodes, roots)
    cut = len(shapes[0]) if roots else 0
    return Program(
        tuple(states), tuple(parameters), tuple(tables), nodes, tuple(roots[:cut]), tuple(roots[cut:]), unknown
    )


def reached(nodes: Sequence[Node], roots: Sequence[int]) -> set[int]:
    """Numbers of the nodes that the roots need, and their own."""
    wanted, stack = set(), list(roots)
    while stack:
        i = stack.pop()
        if i not in wanted:
            wanted.add(i)
            stack += nodes[i].args
    return wanted


def _live(nodes: list[Node], roots: list[int]) -> tuple[tuple[Node, ...], list[int]]:
    wanted = sorted(reached(nodes, roots))
    number = {old: new for new, old in enumerate(wanted)}
    kept = tuple(nodes[i]._replace(args=tuple(number[a] for a in nodes[i].args)) for i in wanted)
    return kept, [number[i] for i in roots]


SAME = {"copy", "copy_p", "stop_gradient", "optimization_barrier", "reshape", "squeeze", "broadcast_in_dim"}
CALLS = {"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat"}
COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
UNARY = {"neg", "abs", "sign", "sqrt", "exp", "exp2", "log", "log1p", "expm1", "tanh", "logistic", "sin", "cos", "tan"}
UNARY |= {"floor", "ceil"}
BINARY = {"add", "sub", "mul", "max", "min"}


class Table(NamedTuple):
    """A row of numbers that a patient has, by its place among the tables."""

    number: int


class _Graph:
    """Nodes so far, each once."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.numbers: dict[Any, int] = {}
        self.waits: list[bool] = []  # for a state or the time
        self.same: list[bool] = []  # for all patients

    def node(self, op: str, args: tuple[int, ...] = (), given: float | int = 0) -> int:
        # a float by its bits: 0.0 == -0.0, and nan is not itself
        key = (op, args, given.hex() if isinstance(given, float) else given)
        if key not in self.numbers:
            self.numbers[key] = len(self.nodes)
            self.nodes.append(Node(op, args, given))
            self.waits.append(op in ("state", "time", "lookup") or any(self.waits[i] for i in args))
            self.same.append(op not in ("state", "parameter", "lookup") and all(self.same[i] for i in args))
        return self.numbers[key]

    def constant(self, value: float) -> int:
        return self.node("constant", (), float(value))

    def literal(self, value: Any) -> int:
        one = np.asarray(value)  # by numpy: this may run while another program is traced
        number = self.constant(float(one.item()))
        return self.node("ne", (number, self.constant(0.0))) if one.dtype == bool else number

    def value(self, i: int) -> float | None:
        return self.nodes[i].given if self.nodes[i].op == "constant" else None

    def inline(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[int | Table]) -> list[int]:
        known: dict[Any, int | Table] = dict(zip(jaxpr.invars, inputs, strict=True))
        for variable, const in zip(jaxpr.constvars, consts, strict=True):
            if jnp.size(const) == 1:  # a table is refused where it is read
                known[variable] = self.literal(const)

        def read(atom: Any) -> int | Table:
            if hasattr(atom, "val"):
                if jnp.size(atom.val) != 1:
                    raise UnknownPrimitive(f"an array of shape {jnp.shape(atom.val)}")
                return self.literal(atom.val)
            if atom not in known:
                raise UnknownPrimitive(f"an array of shape {atom.aval.shape}")
            return known[atom]

        for equation in jaxpr.eqns:
            name = equation.primitive.name
            args: list[Any] = [read(atom) for atom in equation.invars]
            read_whole = name not in (*CALLS, "dynamic_slice")
            scalars = [atom for atom, arg in zip(equation.invars, args, strict=True) if not isinstance(arg, Table)]
            for variable in (*(equation.invars if read_whole else scalars), *equation.outvars):
                self.check(name, variable.aval)
            if name in CALLS:
                inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
                body, inner_consts = getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())
                results = self.inline(body, inner_consts, args)
            else:
                results = [self.operation(name, equation, args)]
            known.update(zip(equation.outvars, results, strict=True))
        ends = [read(atom) for atom in jaxpr.outvars]
        if any(isinstance(end, Table) for end in ends):
            raise UnknownPrimitive("a whole table as a result")
        return [end for end in ends if not isinstance(end, Table)]

    def check(self, name: str, aval: Any) -> None:
        size = 1
        for extent in getattr(aval, "shape", ()):
            size *= extent
        if size != 1:
            raise UnknownPrimitive(f"primitive '{name}' on an array of shape {aval.shape}")
        if str(aval.dtype) in ("float32", "float16", "bfloat16") or str(aval.dtype).startswith("complex"):
            raise UnknownPrimitive(f"primitive '{name}' on a number of type {aval.dtype}")

    def operation(self, name: str, equation: Any, args: list[Any]) -> int:
        kinds = [str(atom.aval.dtype) for atom in equation.invars]
        logical, real = kinds[0] == "bool", kinds[0] == "float64"
        if name in SAME:
            return args[0]
        if name in UNARY or (name in BINARY and not logical):
            return self.arithmetic(name, args)
        if name in COMPARISONS and not logical:
            return self.node(name, tuple(args))
        if name in ("and", "or", "not", "xor") and logical:
            return self.node(name, tuple(args))
        match name:
            case "eq" if logical:
                return self.node("not", (self.node("xor", tuple(args)),))
            case "ne" if logical:
                return self.node("xor", tuple(args))
            case "div" if real:
                return self.quotient(*args)
            case "rsqrt":
                return self.quotient(self.constant(1.0), self.node("sqrt", (args[0],)))
            case "square":
                return self.arithmetic("mul", [args[0], args[0]])
            case "integer_pow":
                return self.power(args[0], equation.params["y"])
            case "pow":
                exponent = self.value(args[1])
                if exponent == 0.5:
                    return self.node("sqrt", (args[0],))
                if exponent is not None and exponent == int(exponent) and abs(exponent) <= 16:
                    return self.power(args[0], int(exponent))
                return self.node("pow", tuple(args))
            case "round":
                return self.node("away" if int(equation.params["rounding_method"]) == 0 else "rint", tuple(args))
            case "clamp":
                return self.node("min", (self.node("max", (args[1], args[0])), args[2]))
            case "is_finite":
                return self.node("eq", (self.node("sub", (args[0], args[0])), self.constant(0.0)))
            case "select_n" if len(args) == 3 and logical and kinds[1] != "bool":
                return self.node("select", (args[0], args[2], args[1]))
            case "select_n" if len(args) == 3 and logical:
                yes, no = self.node("and", (args[0], args[2])), self.node("not", (args[0],))
                return self.node("or", (yes, self.node("and", (no, args[1]))))
            case "dynamic_slice" if isinstance(args[0], Table):
                if not self.same[args[1]]:
                    raise UnknownPrimitive("a table at a place that is not the same for all patients")
                return self.node("lookup", (args[1],), args[0].number)
            case "convert_element_type":
                return self.converted(args[0], kinds[0], str(equation.outvars[0].aval.dtype))
        raise UnknownPrimitive(f"primitive '{name}' on {kinds[0]}")

    def arithmetic(self, name: str, args: list[int]) -> int:
        if name == "mul" and 1.0 in (values := [self.value(i) for i in args]):
            return args[1] if values[0] == 1.0 else args[0]
        return self.node(name, tuple(args))

    def quotient(self, a: int, b: int) -> int:
        """a / b; by a reciprocal, taken once a patient, where b is known before the first step."""
        if self.waits[a] and not self.waits[b]:
            return self.arithmetic("mul", [a, self.node("div", (self.constant(1.0), b))])
        return self.node("div", (a, b))

    def power(self, base: int, exponent: int) -> int:
        if exponent < 0:
            return self.quotient(self.constant(1.0), self.power(base, -exponent))
        result, square = self.constant(1.0), base
        while exponent:
            if exponent % 2:
                result = self.arithmetic("mul", [result, square])
            exponent //= 2
            if exponent:
                square = self.arithmetic("mul", [square, square])
        return result

    def converted(self, a: int, old: str, new: str) -> int:
        """Whole numbers are carried as float64."""
        if old == new or (old != "bool" and new == "float64"):
            return a
        if new == "bool":
            return self.node("ne", (a, self.constant(0.0)))
        if old == "bool":
            return self.node("select", (a, self.constant(1.0), self.constant(0.0)))
        return self.node("trunc", (a,)) if old == "float64" else a
