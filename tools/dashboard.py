"""docs/dashboard.svg: the layout of the CloudWatch dashboard, as the template has it."""

import json
import re
from collections.abc import Iterator
from html import escape
from textwrap import shorten, wrap
from typing import Any

from tools.functions import resources

COLUMN, ROW, GAP = 40, 17, 8  # pixels; a dashboard has 24 columns
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .head { font-size: 14px; font-weight: 600 }
  .what { font-size: 10px; fill: #59636e }
  .box { fill: #f6f8fa; stroke: #d1d9e0 }
  .line { fill: none; stroke: #0969da; stroke-width: 1.5 }
  .rule { stroke: #d1d9e0 }
  .alarm { fill: #1a7f37 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .what { fill: #9198a1 } .box { fill: #151b23; stroke: #3d444d }
    .line { stroke: #4493f8 } .rule { stroke: #3d444d } .alarm { fill: #3fb950 }
  }
"""


def widgets() -> list[dict[str, Any]]:
    """Return the dashboard's widgets as the template has them."""
    body = resources()["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    return list(json.loads(body)["widgets"])


def svg() -> str:
    """Return the picture: each widget at its place, with its title and what it shows."""
    shown = widgets()
    width, height = 24 * COLUMN, max(each["y"] + each["height"] for each in shown) * ROW + GAP
    drawn = "\n".join(line for widget in shown for line in _drawn(widget))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">\n'
        f"<title>The dashboard's layout</title>\n<style>{STYLE}</style>\n{drawn}\n</svg>\n"
    )


def _drawn(widget: dict[str, Any]) -> Iterator[str]:
    x, y = widget["x"] * COLUMN + GAP / 2, widget["y"] * ROW + GAP / 2
    width, height = widget["width"] * COLUMN - GAP, widget["height"] * ROW - GAP
    said = widget["properties"]
    if widget["type"] == "text":
        text = escape(said["markdown"].lstrip("# "))
        yield f'<text class="head" x="{x}" y="{y + 13}">{text}</text>'
        return
    yield f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="4"/>'
    titles = wrap(said["title"], width // 7)
    shown = shorten(_shown(said), width // 6, placeholder=" …")
    for number, text in enumerate(titles):
        yield f'<text x="{x + 8}" y="{y + 16 + 14 * number}">{escape(text)}</text>'
    yield f'<text class="what" x="{x + 8}" y="{y + height - 6}">{escape(shown)}</text>'
    top, left, right = y + 12 + 14 * len(titles), x + 8, x + width - 8
    bottom = y + height - 20
    if "alarms" in said:
        for number in range(len(said["alarms"])):
            row, column = divmod(number, 7)
            place = f'x="{left + 40 * column}" y="{top + 17 * row}"'
            yield f'<rect class="alarm" {place} width="32" height="11" rx="2"/>'
    elif said.get("view") == "table":
        for line in range(3):
            at = top + (bottom - top) * (line + 0.5) / 3
            yield f'<line class="rule" x1="{left}" x2="{right}" y1="{at:.0f}" y2="{at:.0f}"/>'
    else:
        heights = [0.7, 0.55, 0.6, 0.3, 0.4, 0.2, 0.35, 0.1, 0.3]
        step = (right - left) / (len(heights) - 1)
        places = " ".join(
            f"{left + step * i:.0f},{top + (bottom - top) * at:.0f}" for i, at in enumerate(heights)
        )
        yield f'<polyline class="line" points="{places}"/>'


def _shown(said: dict[str, Any]) -> str:
    """Return what a widget's values are made of."""
    if "alarms" in said:
        return f"{len(said['alarms'])} alarms"
    if "query" in said:
        return "from the functions' log"
    text, names = json.dumps(said["metrics"]).replace("\\", ""), []
    for searched, plain, more in re.findall(
        r'MetricName="(\w+)|"(?:AWS/\w+|PaymentApi[^"]*)", "(\w+)"|"\.", "(\w+)"', text
    ):
        names.append(searched or plain or more)
    return ", ".join(dict.fromkeys(names))
