"""Write docs/performance.md's measured part and its chart from benchmarks/figures.json.

python benchmarks/report.py
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
NAMES = {
    "ours": "**this API**",
    "limit": "the limit: one request signed by hand, no SDK",
    "hello": "SAM hello-world style, boto3.resource",
    "flask": "Flask, serverless-wsgi",
    "fastapi": "FastAPI, Mangum",
    "powertools": "Powertools: resolver, validation, idempotency, tracer",
}

# us-east-1, dollars, as public copies had them by November 2026, of
# aws.amazon.com/{api-gateway,lambda,dynamodb,cloudwatch}/pricing
GATEWAY_TIERS = [
    (333e6, 3.50),
    (1_000e6, 2.80),
    (20_000e6, 2.38),
    (float("inf"), 1.51),
]  # per million calls
LAMBDA_CALL, LAMBDA_GB_SECOND = 0.20e-6, 0.0000133334  # arm64
WRITE_UNIT = 0.625e-6
LOG_GB = 0.50
BILLED_SECONDS, MEMORY_GB, LOG_BYTES = 0.015, 0.5, 600  # assumed of a create; the last two are ours
MONTH = 30 * 24 * 3600


def write(result: dict[str, Any]) -> None:
    """Replace what stands between the markers, and draw the chart."""
    page = ROOT / "docs/performance.md"
    text = page.read_text()
    for name, table in {
        "measured": measured(result),
        "memory": memory(result),
        "cost": cost(),
    }.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text = re.sub(pattern, lambda m, t=table: f"{m[1]}{t}\n{m[2]}", text, flags=re.S)
    page.write_text(text)
    (ROOT / "docs/performance.svg").write_text(chart(result))


def measured(result: dict[str, Any]) -> str:
    counts, sizes = result["instructions"], result["sizes"]
    lines = [
        f"Made {result['made']} with {result['build']}.",
        "",
        "Millions of instructions above the bare runtime; with bytecode, and (as `sam build` ships it):",
        "",
        "| | cold create | cold read | warm create | warm read | package, MB | memory, MB |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    for stack, of in counts.items():
        shipped = result["as_shipped"].get(stack)
        cells = [
            f"{of[key] / 1e6:,.0f}" + (f" ({shipped[key] / 1e6:,.0f})" if shipped else "")
            for key in ("cold create", "cold read")
        ]
        cells += [f"{of[key] / 1e6:.1f}" for key in ("warm create", "warm read")]
        cells += [f"{sizes[stack]['create'] / 1e6:.1f}", str(result["processor"][stack]["memory"])]
        lines.append(f"| {NAMES[stack]} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "This API against each, in pairs: processor time of a cold create, and the wall time to the first answer",
        "under Lambda's runtime client and interface emulator (median, and the range over all rounds):",
        "",
        "| against | processor time | first answer | first, second answer, ms |",
        "| --- | --: | --: | --: |",
    ]
    for stack in counts:
        if stack != "ours":
            times = result["starts"][stack]
            lines.append(
                f"| {NAMES[stack]} | {ratio(result['processor'][stack]['ratios'])}"
                f" | {ratio(times['ratios'])} | {times['first']:.0f}, {times['second']:.1f} |"
            )
    own = result["starts"]["ours"]
    lines += [
        f"| {NAMES['ours']} | 1 | 1 | {own['first']:.0f}, {own['second']:.1f} |",
        "",
        "What DynamoDB is asked for each, on DynamoDB Local: calls (capacity units). Under Lambda, each execution",
        "environment of this API adds one call at init (one unit) in its life:",
        "",
        "| | create | replay | read |",
        "| --- | --: | --: | --: |",
    ]
    for stack, steps in result["dynamodb"].items():
        cells = []
        for step in ("create", "replay", "read"):
            asked = dict(steps.get(step, {}))
            units = asked.pop("units", 0)
            cells.append(f"{sum(asked.values())} ({units:g})" if asked else "no such thing")
        lines.append(f"| {NAMES[stack]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ratio(ratios: list[float]) -> str:
    low, middle, high = ratios[0], ratios[len(ratios) // 2], ratios[-1]
    verdict = " inconclusive" if low <= 1 <= high else ""
    return f"{middle:.2f} ({low:.2f}-{high:.2f}){verdict}"


def cost() -> str:
    lines = [
        "| payments a second | a month | API Gateway | Lambda | DynamoDB | logs | together | per million |",
        "| --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for rate in (10, 1_000, 100_000):
        calls = rate * MONTH
        gateway, done = 0.0, 0.0
        for upto, price in GATEWAY_TIERS:
            part = max(0.0, min(calls, upto) - done)
            gateway, done = gateway + part * price / 1e6, done + part
        function = calls * (LAMBDA_CALL + BILLED_SECONDS * MEMORY_GB * LAMBDA_GB_SECOND)
        table, logs = calls * WRITE_UNIT, calls * LOG_BYTES / 1e9 * LOG_GB
        total = gateway + function + table + logs
        cells = [f"${part:,.0f}" for part in (gateway, function, table, logs, total)]
        lines.append(
            f"| {rate:,} | {calls / 1e6:,.0f} M | "
            + " | ".join(cells)
            + f" | ${total / calls * 1e6:.2f} |"
        )
    return "\n".join(lines)


def memory(result: dict[str, Any]) -> str:
    """Scale the second answer under Lambda's runtime client by the processor that a memory size gets."""
    second = result["starts"]["ours"]["second"]
    lines = [
        "| memory, MB | share of a processor | warm create, ms | $ per million |",
        "| --: | --: | --: | --: |",
    ]
    for size in (128, 256, 512, 1024, 1769):
        share = size / 1769
        price = second / share / 1000 * size / 1024 * LAMBDA_GB_SECOND * 1e6
        lines.append(f"| {size:,} | {share:.2f} | {second / share:.1f} | {price:.2f} |")
    return "\n".join(lines)


def chart(result: dict[str, Any]) -> str:
    """Draw a cold create's instructions, one bar a stack: with bytecode, and as shipped behind it."""
    counts, shipped = result["instructions"], result["as_shipped"]
    most = max([of["cold create"] for of in [*counts.values(), *shipped.values()]])
    rows = []
    for row, stack in enumerate(sorted(counts, key=lambda s: counts[s]["cold create"])):
        y, name = 44 + row * 34, NAMES[stack].strip("*").partition(":")[0].partition(",")[0]
        value = counts[stack]["cold create"]
        behind = shipped.get(stack, {}).get("cold create", value)
        width, whole = value / most * 440, behind / most * 440
        colour = "#0b7a4b" if stack == "ours" else "#5b7083"
        label = f"{value / 1e6:,.0f}" + (
            f"  ({behind / 1e6:,.0f} as shipped)" if behind != value else ""
        )
        weight = ' font-weight="bold"' if stack == "ours" else ""
        rows.append(
            f'<text x="190" y="{y + 16}" text-anchor="end"{weight}>{name}</text>'
            f'<rect x="200" y="{y}" width="{whole:.0f}" height="22" fill="#d5dde3"/>'
            f'<rect x="200" y="{y}" width="{width:.0f}" height="22" fill="{colour}"/>'
            f'<text x="{206 + whole:.0f}" y="{y + 16}">{label}</text>'
        )
    height = 56 + 34 * len(counts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {height}" font-family="sans-serif"'
        f' font-size="13" role="img"><rect width="820" height="{height}" fill="#fff"/>'
        '<text x="16" y="24" font-size="15">A cold create, millions of instructions: with bytecode,'
        " and (grey) as sam build ships it</text>" + "".join(rows) + "</svg>\n"
    )


if __name__ == "__main__":
    write(json.loads((ROOT / "benchmarks/figures.json").read_text()))
