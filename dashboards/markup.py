"""HTML that needs nothing beside it: the frame of a page, figures, tables and lists, all text escaped."""

import html
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go
import plotly.io
from plotly.offline import get_plotlyjs

from dashboards.plots.style import CONFIG

# Nothing may be fetched: the browser itself refuses what this does not name.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1rem 1.25rem 4rem; background: #fff; color: #222;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.3rem; margin: 3rem 0 .75rem; padding-top: 1rem; border-top: 2px solid #222; }
h3 { font-size: 1.05rem; margin: 2rem 0 .25rem; }
p, li { max-width: 46rem; }
.aid, .small { color: #555; font-size: .92rem; margin: .2rem 0 .5rem; }
.answer { font-size: 1.15rem; border-left: 4px solid #0072B2; padding: .25rem 0 .25rem 1rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.card { border: 1px solid #ddd; border-radius: .4rem; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.3rem; line-height: 1.3; }
.card span { color: #555; font-size: .87rem; display: block; line-height: 1.35; }
nav { font-size: .92rem; margin: 1rem 0; } nav a { margin-right: .9rem; white-space: nowrap; } a { color: #0072B2; }
figure { margin: 1.5rem 0; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .9rem; line-height: 1.4; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #e3e3e3; }
th { border-bottom: 1.5px solid #222; font-weight: 600; vertical-align: bottom; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
th.n { white-space: normal; }
td.w { min-width: 13rem; }
td.k { white-space: nowrap; }
pre { background: #f6f6f6; padding: .9rem; overflow-x: auto; font-size: .82rem; line-height: 1.45;
  border-radius: .3rem; }
.bad { color: #B0002A; font-weight: 600; }
@media (max-width: 30rem) {
  body { padding: .5rem .75rem 3rem; } h1 { font-size: 1.4rem; }
  .answer { font-size: 1.05rem; }
}
"""


def document(title: str, above: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """A whole page. sections: (title, anchor, HTML); above: a line over the heading. plotly stands in it once."""
    links = "".join(f'<a href="#{anchor}">{escaped(name)}</a>' for name, anchor, _ in sections)
    body = "".join(
        f'<section id="{anchor}"><h2>{escaped(name)}</h2>{content}</section>' for name, anchor, content in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{STYLE}</style><script>{get_plotlyjs()}</script></head><body>"
        f'<header><p class="small">{escaped(above)}</p><h1>{escaped(title)}</h1><nav>{links}</nav></header>'
        f"<main>{body}</main></body></html>\n"
    )


def framed(name: str, title: str, aid: str, figure: go.Figure) -> str:
    """A figure with its title and a line that says how to read it."""
    drawn = plotly.io.to_html(
        figure,
        full_html=False,
        include_plotlyjs=False,
        config=CONFIG,
        default_width="100%",
        div_id=f"figure-{name}",
    )
    name = escaped(title)
    return f'<figure aria-label="{name}"><h3>{name}</h3><p class="aid">{escaped(aid)}</p>{drawn}</figure>'


def tabulated(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    numeric: set[int] | None = None,
    wide: set[int] | None = None,
    kept: set[int] | None = None,
    bad: str | None = None,
) -> str:
    """numeric: columns set to the right. wide: those that need room. kept: on one line. bad: a cell to stand out."""
    columns = {"n": numeric or set(), "w": wide or set(), "k": kept or set()}
    kinds = [next((kind for kind, those in columns.items() if i in those), "") for i in range(len(head))]

    def cell(tag: str, text: str, kind: str) -> str:
        kind = f"{kind} bad" if text == bad else kind
        return (
            f'<{tag} class="{kind.strip()}">{escaped(text)}</{tag}>'
            if kind.strip()
            else f"<{tag}>{escaped(text)}</{tag}>"
        )

    top = "".join(cell("th", text, kind if kind == "n" else "") for text, kind in zip(head, kinds, strict=True))
    lines = "".join(
        "<tr>" + "".join(cell("td", text, kind) for text, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    opening = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    return f'<div class="scroll" tabindex="0"><table>{opening}<tbody>{lines}</tbody></table></div>'


def listed(lines: Iterable[str]) -> str:
    """A list of sentences."""
    return "<ul>" + "".join(f"<li>{escaped(line)}</li>" for line in lines) + "</ul>"


def escaped(text: str) -> str:
    """Text as HTML that shows it as it is."""
    # A number and its per cent sign stay on one line.
    return html.escape(text).replace(" %", "&nbsp;%")
