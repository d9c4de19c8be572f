"""A study file as text: nested keys, every scalar a string, and the line on which each stands."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

Tree = dict[str, Any]
Place = tuple[str | int, ...]

LARGEST = 1_000_000  # characters; a study file is a page or two


@dataclasses.dataclass(frozen=True)
class Document:
    """tree: the content. lines: place -> line number, places being paths of keys and list positions."""

    name: str
    tree: Tree
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it that the file has."""
        while place not in self.lines and place:
            place = place[:-1]
        return self.lines.get(place, 1)

    def refuse(self, place: Place, sentence: str) -> NoReturn:
        """Raises ValueError: FILE:LINE: sentence."""
        raise ValueError(one_line(f"{self.name}:{self.line(place)}: {sentence}"))


def one_line(text: str) -> str:
    """Text whose line breaks and other unprintable characters are written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def read(path: Path) -> Document:
    """Reads a file. Raises ValueError where it cannot be read or is not one mapping in YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); give the path of a study file") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 text; save the study file as UTF-8") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> Document:
    """Parses YAML by BaseLoader's rules: no scalar is anything but text."""
    if len(text) > LARGEST:
        raise ValueError(f"{name}:1: {len(text):,} characters are no study file; give one of at most {LARGEST:,}")
    try:
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise ValueError(f"{name}:{line}: alias '*{event.anchor}' is not allowed; write the value out")
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "a character that text cannot have"
        raise ValueError(one_line(f"{name}:{line}: not YAML: {problem}; mend the line")) from error
    except RecursionError as error:
        raise ValueError(f"{name}:1: nested too deeply; a study file has at most five levels") from error
    if not isinstance(root, yaml.MappingNode):
        raise ValueError(f"{name}:1: is no mapping of keys; start with a line such as study: my-study")
    lines: dict[Place, int] = {}
    return Document(name, _content(root, (), lines, name), lines)


def _content(node: yaml.Node, place: Place, lines: dict[Place, int], name: str) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(place, line)
    if len(place) > 12:
        raise ValueError(f"{name}:{line}: nested too deeply; a study file has at most five levels")
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return [_content(child, (*place, i), lines, name) for i, child in enumerate(node.value)]
    tree: Tree = {}
    for key, child in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"{name}:{line}: a key is no plain word; write key: value")
        if key.value in tree:
            raise ValueError(one_line(f"{name}:{line}: key '{key.value}' stands twice; keep one of them"))
        lines[(*place, key.value)] = line
        tree[key.value] = _content(child, (*place, key.value), lines, name)
    return tree


def filled(tree: Tree, defaults: Tree) -> Tree:
    """The tree with the keys that it lacks taken from `defaults`, at every depth."""
    result = dict(tree)
    for key, value in defaults.items():
        if key not in result:
            result[key] = value
        elif isinstance(value, dict) and isinstance(result[key], dict):
            result[key] = filled(result[key], value)
    return result


def write(tree: Tree) -> str:
    """The tree as YAML that reads back as the same tree."""
    return yaml.dump(tree, Dumper=_TextDumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)


class _TextDumper(yaml.SafeDumper):
    """Text is text: `yes` and `1:1` need no quotes where every scalar is read as a string."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text)


_TextDumper.add_representer(str, _represent)
_TextDumper.yaml_implicit_resolvers = {}
