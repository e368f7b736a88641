"""The page of a gateway's stand-in where the payer pays."""

from collections.abc import Mapping
from html import escape

_STYLE = (
    ":root{color-scheme:light dark}body{font:1.1rem system-ui;max-width:26rem;margin:3rem auto;"
    "padding:0 1rem}h1{font-size:2rem}form{display:grid;gap:.6rem}"
    "button{font:inherit;padding:.6rem}"
)


def page(gateway: str, amount: str, told: str, outcomes: Mapping[str, str]) -> str:
    """Return the page as HTML: a button for each outcome; the form's field is `outcome`."""
    buttons = "".join(
        f'<button name="outcome" value="{outcome}">{escape(label)}</button>'
        for outcome, label in outcomes.items()
    )
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Pay</title>'
        '<link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style><p>A stand-in for {gateway}. No card, no money.</p>"
        f'<h1>{escape(amount)}</h1><p>{escape(told)}</p><form method="post">{buttons}</form></html>'
    )
