#!/usr/bin/env python3
"""Draws the pictures of README.md: each NAME.txt beside this becomes NAME.svg. They are kept, as GitHub and Galaxy run no script.

A line is one thing; places are columns and rows.

  title TEXT
  box NAME COLUMN ROW TEXT | TEXT...       the first is its name
  arrow FROM TO HEIGHT TEXT                a request; HEIGHT moves it aside, so that two do not meet
  answer FROM TO HEIGHT TEXT               an answer, dashed
"""

import html
import math
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
COLUMN, ROW, WIDTH, LINE, MARGIN, TOP = 270, 140, 176, 17, 20, 44

STYLE = '''<style>
  text { font: 13px sans-serif; fill: #1c2733 } .title { font-size: 16px; font-weight: bold } .name { font-weight: bold }
  .note { font-size: 12px } .request { stroke: #1a6fb0; fill: none; stroke-width: 2 } .answer { stroke: #2d8a4e; fill: none; stroke-width: 2; stroke-dasharray: 6 4 }
  rect { fill: #f4f7fa; stroke: #5b6b7b; rx: 6px } .page { fill: #ffffff; stroke: none }
</style>
<defs>
  <marker id="request" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#1a6fb0"/></marker>
  <marker id="answer" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#2d8a4e"/></marker>
</defs>'''


def draw(text):
    """Returns the picture that the lines describe."""
    boxes, title, arrows = {}, '', []
    for line in filter(None, map(str.strip, text.splitlines())):
        kind, rest = line.split(maxsplit=1)
        if kind == 'title':
            title = rest
        elif kind == 'box':
            name, column, row, lines = rest.split(maxsplit=3)
            boxes[name] = Box(int(column), int(row), [part.strip() for part in lines.split('|')])
        elif kind in ('arrow', 'answer'):
            start, end, aside, *label = rest.split(maxsplit=3)
            arrows.append((kind.replace('arrow', 'request'), boxes[start], boxes[end], int(aside), ''.join(label)))
        else:
            sys.exit(f'no line begins with {kind}: see draw.py')
    width = max(box.x + WIDTH for box in boxes.values()) + MARGIN
    height = max(box.y + box.height for box in boxes.values()) + MARGIN
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
             f'<title>{html.escape(title)}</title>', STYLE, f'<rect class="page" width="{width}" height="{height}"/>',
             written(MARGIN, 26, title, 'title', 'start')]
    parts += [part for box in boxes.values() for part in box.drawn()]
    parts += [part for arrow in arrows for part in line_of(*arrow)]
    return '\n'.join([*parts, '</svg>', ''])


class Box:
    def __init__(self, column, row, lines):
        self.lines, self.height = lines, LINE * len(lines) + 14
        self.x, self.y = MARGIN + column * COLUMN, TOP + row * ROW
        self.centre = (self.x + WIDTH / 2, self.y + self.height / 2)

    def drawn(self):
        yield f'<rect x="{self.x}" y="{self.y}" width="{WIDTH}" height="{self.height}"/>'
        for number, line in enumerate(self.lines):
            yield written(self.centre[0], self.y + 20 + number * LINE, line, 'note' if number else 'name')

    def edge(self, towards, aside):
        """Returns where a line from the centre, moved aside, leaves the box."""
        dx, dy = towards[0] - self.centre[0], towards[1] - self.centre[1]
        length = math.hypot(dx, dy)
        x, y = self.centre[0] - dy / length * aside, self.centre[1] + dx / length * aside
        right, below = (self.x + WIDTH if dx > 0 else self.x) - x, (self.y + self.height if dy > 0 else self.y) - y
        share = min(right / dx if dx else math.inf, below / dy if dy else math.inf)
        return x + dx * share, y + dy * share


def line_of(kind, start, end, aside, label):
    # The other end sees the same side with another sign.
    (x1, y1), (x2, y2) = start.edge(end.centre, aside), end.edge(start.centre, -aside)
    yield f'<line class="{kind}" x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" marker-end="url(#{kind})"/>'
    if label:
        yield written((x1 + x2) / 2, (y1 + y2) / 2 + (16 if kind == 'answer' else -6), label, 'note')


def written(x, y, text, kind, anchor='middle'):
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{html.escape(text)}</text>'


if __name__ == '__main__':
    for path in sorted(HERE.glob('*.txt')):
        path.with_suffix('.svg').write_text(draw(path.read_text()))
