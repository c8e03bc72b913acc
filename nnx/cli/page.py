"""A report's HTML: one file, without a script, that loads nothing; light and dark, for a phone and for paper."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from nnx.cli.pictures import DARK_INK, DARK_PAPER, INK, PAPER, Picture

__all__ = ["facts", "figures", "page", "paragraph", "section", "table"]

CSS = f"""
:root {{ color-scheme: light dark; --ink: {INK}; --paper: {PAPER}; --line: #d5d6dc; --soft: #f1f2f5; --link: #005a94 }}
@media screen and (prefers-color-scheme: dark) {{
  :root {{ --ink: {DARK_INK}; --paper: {DARK_PAPER}; --line: #3a3c45; --soft: #22242a; --link: #7cc0ee }}
}}
* {{ box-sizing: border-box }}
body {{ margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 68rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }}
h1 {{ margin: 0; font-size: 1.8rem; line-height: 1.2 }}
h2 {{ margin: 2.5rem 0 .5rem; padding-top: .5rem; border-top: 1px solid var(--line); font-size: 1.25rem }}
p {{ margin: .4rem 0; max-width: 46rem }}
a {{ color: var(--link) }}
nav ul {{ display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: 1rem 0 0; padding: 0; list-style: none }}
.figures {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem;
  align-items: start }}
figure {{ margin: 0; break-inside: avoid }}
figure.wide {{ grid-column: 1 / -1 }}
img {{ display: block; max-width: 100%; height: auto; margin: 0 auto }}
.scroll {{ overflow-x: auto; max-width: 100% }}
.scroll:focus-visible {{ outline: 2px solid var(--link) }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal }}
caption {{ text-align: left; padding: .3rem 0 }}
th, td {{ padding: .25rem 1rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line) }}
th {{ font-weight: 600 }}
th[scope=col] {{ vertical-align: bottom }}
td.number, th.number {{ text-align: right }}
.scroll td {{ white-space: nowrap }}
.facts {{ overflow-wrap: anywhere }}
.left-out {{ padding: .5rem .8rem; background: var(--soft); border-left: 3px solid var(--line) }}
summary {{ cursor: pointer; color: var(--link) }}
@media print {{
  :root {{ color-scheme: only light }}
  body {{ max-width: none; padding: 0; font-size: 10pt }}
  nav {{ display: none }}
  .figures {{ grid-template-columns: 1fr 1fr }}
  .scroll {{ overflow: visible; overflow-wrap: anywhere }}
  .scroll table, .scroll td {{ overflow-wrap: anywhere; white-space: normal }}
  h2 {{ break-after: avoid }}
  tr {{ break-inside: avoid }}
}}
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load: the pictures and the style that are in the page."""
WIDE = 700


def page(title: str, lead: Sequence[str], sections: Sequence[tuple[str, str, str]]) -> str:
    """The whole file. lead: plain sentences   sections: (id, heading, HTML) of each."""
    links = "".join(f'<li><a href="#{escape(name)}">{escape(heading)}</a></li>' for name, heading, _ in sections)
    body = "\n".join(section(*found) for found in sections)
    words = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in lead)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{CSS}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
{words}<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main>
{body}
</main>
</body>
</html>
"""


def section(name: str, heading: str, html: str) -> str:
    """A part of the page with its heading."""
    key = escape(name)
    head = f'<section id="{key}" aria-labelledby="{key}-h">\n<h2 id="{key}-h">{escape(heading)}</h2>'
    return f"{head}\n{html}\n</section>"


def paragraph(text: str) -> str:
    """Plain words; nothing for none."""
    return f"<p>{escape(text)}</p>\n" if text else ""


def figures(pictures: Iterable[Picture]) -> str:
    """The pictures of a section side by side, then a sentence for each that is left out."""
    shown = left = ""
    for picture in pictures:
        if picture.left_out:
            left += f'<p class="left-out">No {escape(picture.name)}: {escape(picture.left_out)}.</p>\n'
            continue
        width, height = picture.size
        wide = ' class="wide"' if width > WIDE else ""
        shown += (
            f'<figure{wide}><img src="{picture.uri}" alt="{escape(picture.alt)}" width="{width}" height="{height}">'
            "</figure>\n"
        )
    return (f'<div class="figures">\n{shown}</div>\n' if shown else "") + left


def facts(rows: Mapping[str, str], label: str) -> str:
    """A table of two columns: names, and what they are."""
    cells = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>\n' for k, v in rows.items())
    return f'<table class="facts" aria-label="{escape(label)}"><tbody>\n{cells}</tbody></table>'


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], label: str, numbers: int) -> str:
    """A table that scrolls sideways. Its first column heads the rows, those from `numbers` on are numbers."""

    def cell(k: int, text: str, tag: str = "td", scope: str = "") -> str:
        number = ' class="number"' if k >= numbers else ""
        return f"<{tag}{scope}{number}>{escape(text)}</{tag}>"

    head = "".join(cell(k, text, "th", ' scope="col"') for k, text in enumerate(titles))
    body = ""
    for row in rows:
        first, *rest = row
        body += "<tr>" + cell(0, first, "th", ' scope="row"')
        body += "".join(cell(k, text) for k, text in enumerate(rest, 1)) + "</tr>\n"
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
    )
