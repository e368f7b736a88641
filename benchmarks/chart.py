"""The chart of docs/performance.md."""

from collections.abc import Mapping

from benchmarks.stacks import NAMES, OURS

TITLE = "A cold create, millions of instructions: with bytecode, and (grey) as sam build ships it"


def svg(compiled: Mapping[str, int], shipped: Mapping[str, int]) -> str:
    """Draw a bar for each stack, the least first; as shipped stands grey behind it."""
    scale = 440 / max(*compiled.values(), *shipped.values())
    rows = []
    for row, stack in enumerate(sorted(compiled, key=lambda stack: compiled[stack])):
        y, name = 44 + row * 34, NAMES[stack].strip("*").partition(":")[0].partition(",")[0]
        value = compiled[stack]
        behind = shipped.get(stack, value)
        end = behind * scale
        label = f"{value / 1e6:,.0f}"
        label += f"  ({behind / 1e6:,.0f} as shipped)" if behind != value else ""
        colour, weight = ("#0b7a4b", ' font-weight="bold"') if stack == OURS else ("#5b7083", "")
        rows += [
            f'<text x="190" y="{y + 16}" text-anchor="end"{weight}>{name}</text>',
            f'<rect x="200" y="{y}" width="{end:.0f}" height="22" fill="#d5dde3"/>',
            f'<rect x="200" y="{y}" width="{value * scale:.0f}" height="22" fill="{colour}"/>',
            f'<text x="{206 + end:.0f}" y="{y + 16}">{label}</text>',
        ]
    size = f'viewBox="0 0 820 {56 + 34 * len(compiled)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13"'
        ' role="img"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="16" y="24" font-size="15">{TITLE}</text>{"".join(rows)}</svg>\n'
    )
