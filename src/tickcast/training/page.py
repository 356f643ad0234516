"""A page that stands alone: its style, its tables, and the escaping of all that is no tag of ours."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--card:#f6f7f9;--ink:#1b1f24;--soft:#5b6470;--rule:#dfe3e8;--grey:#8a939e;
--good:#14804a;--bad:#c0352b;--s0:#1f6feb;--s1:#d9730d;--s2:#14866d;--s3:#9a3fc4;--s4:#b8325f;--s5:#7a6a00}
@media(prefers-color-scheme:dark){:root{--paper:#14171b;--card:#1d2127;--ink:#e6e9ed;--soft:#a3acb7;--rule:#333a43;
--grey:#8d97a3;--good:#4cc38a;--bad:#ff7b72;--s0:#6cb0ff;--s1:#ffa657;--s2:#4fd1b5;--s3:#d2a8ff;--s4:#ff8fb3;
--s5:#e3cf57}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .3em}h2{font-size:1.2rem;margin:2.2em 0 .5em}
h3{font-size:1rem;margin:1.2em 0 .3em}p{margin:.5em 0;max-width:75ch}
.soft,figcaption{color:var(--soft);font-size:.875rem}
ul.words{padding-left:1.2em;max-width:75ch}ul.words li{margin:.35em 0}ul.words li:first-child{color:var(--soft)}
.wide{overflow-x:auto;margin:.6em 0}table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
th,td{padding:.35em .6em;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
th{font-weight:600;color:var(--soft);vertical-align:bottom}th:first-child,td:first-child,.left{text-align:left}
td:first-child{position:sticky;left:0;background:var(--paper)}tr td.best{font-weight:700;color:var(--good)}
tr.naive td{color:var(--soft)}td.say{white-space:normal;min-width:22ch;text-align:left}
code{font-size:.85em;overflow-wrap:anywhere}.tag{font-size:.75rem;color:var(--soft);margin-left:.4em}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:20px}
.squares{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px}
figure{margin:0;background:var(--card);border-radius:8px;padding:12px;max-width:560px}
figure td:first-child{background:var(--card)}
details{margin:.8em 0}summary{cursor:pointer;color:var(--soft);font-size:.9rem}
figure h3{margin:0 0 .3em}
svg{display:block}svg.plot,svg.square{width:100%;height:auto}svg.whisker{width:180px;height:20px}
svg text{font-size:11px;fill:var(--soft)}svg text.small{font-size:10px}.end{text-anchor:end}.mid{text-anchor:middle}
.grid{stroke:var(--rule);stroke-width:1}.level{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 3}
.line{fill:none;stroke:var(--c);stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
path.dash{stroke-dasharray:5 4}
.area{fill:var(--c);fill-opacity:.18;stroke:none}.dot,.fill{fill:var(--c)}
line.whisker{stroke:var(--c);stroke-width:2.5}
.g{--c:var(--grey)}.good{--c:var(--good)}.bad{--c:var(--bad)}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}.s5{--c:var(--s5)}
.legend{display:flex;flex-wrap:wrap;gap:.1em 1em;font-size:.8rem;color:var(--soft);padding:.3em 0 0}
.key{display:inline-block;width:16px;height:0;border-top:3px solid var(--c);margin-right:.4em;vertical-align:middle}
.key.dash{border-top-style:dashed}.key.area{height:10px;border:0;background:var(--c);opacity:.35}
dl{display:grid;grid-template-columns:minmax(8em,max-content) 1fr;gap:.3em 1.2em;margin:.6em 0;font-size:.9rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
@media(max-width:520px){main{padding:16px 12px 48px}dl{grid-template-columns:1fr}dt{margin-top:.5em}}
@media print{figure{break-inside:avoid}}
"""


class Html(str):
    """Text that is markup already; all other text is escaped."""

    __slots__ = ()


def inner(text: str) -> str:
    """Escaped, unless it is markup.

    >>> inner("<b>"), inner(Html("<b>"))
    ('&lt;b&gt;', '<b>')
    """
    return text if isinstance(text, Html) else escape(text)


class Cell(str):
    """A cell with a class of its own."""

    tone: str

    def __new__(cls, text: str, tone: str = "") -> Cell:
        """Escape the text here, so that a cell is markup from then on."""
        made = super().__new__(cls, inner(text))
        made.tone = tone
        return made


def table(head: Sequence[str], rows: Sequence[Sequence[str]], tones: Sequence[str] = ()) -> Html:
    """A table in a box that scrolls where the page is narrower; `tones` are classes of the rows."""
    made = [f"<tr>{''.join(_cell(name, 'th') for name in head)}</tr>"]
    for place, row in enumerate(rows):
        tone = f' class="{tones[place]}"' if tones and tones[place] else ""
        made.append(f"<tr{tone}>{''.join(_cell(cell) for cell in row)}</tr>")
    return Html(f'<div class="wide"><table>{"".join(made)}</table></div>')


def _cell(text: str, tag: str = "td") -> str:
    tone = text.tone if isinstance(text, Cell) else ""
    told = text if isinstance(text, Cell) else inner(text)
    return f'<{tag} class="{tone}">{told}</{tag}>' if tone else f"<{tag}>{told}</{tag}>"


def section(title: str, *parts: str) -> Html:
    """A heading and what stands below it; nothing where nothing does."""
    if not any(parts):
        return Html("")
    return Html(f"<section><h2>{inner(title)}</h2>{''.join(inner(part) for part in parts)}</section>")


def words(sentences: Sequence[str]) -> Html:
    """Sentences as a list."""
    return Html(f'<ul class="words">{"".join(f"<li>{inner(one)}</li>" for one in sentences)}</ul>')


def note(text: str) -> Html:
    """Small print."""
    return Html(f'<p class="soft">{inner(text)}</p>')


def figure(title: str, drawn: str, caption: str = "") -> Html:
    """A plot with its name above and what it shows below."""
    below = f"<figcaption>{inner(caption)}</figcaption>" if caption else ""
    return Html(f"<figure><h3>{inner(title)}</h3>{drawn}{below}</figure>")


def grid(figures: Sequence[str], tone: str = "plots") -> Html:
    """Figures side by side, as many as fit."""
    return Html(f'<div class="{tone}">{"".join(figures)}</div>' if figures else "")


def folded(title: str, *parts: str) -> Html:
    """What is there for those who ask, closed at first; no script is needed."""
    if not any(parts):
        return Html("")
    return Html(f"<details><summary>{inner(title)}</summary>{''.join(inner(part) for part in parts)}</details>")


def facts(pairs: Sequence[tuple[str, str]]) -> Html:
    """Names and what they are."""
    return Html(f"<dl>{''.join(f'<dt>{inner(name)}</dt><dd>{inner(value)}</dd>' for name, value in pairs)}</dl>")


def page(title: str, subtitle: str, *sections: str) -> bytes:
    """The whole file."""
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
    )
    body = f"<h1>{inner(title)}</h1>{note(subtitle)}{''.join(sections)}"
    return f"{head}\n<body><main>{body}</main></body></html>\n".encode()
