"""How the console writes numbers. Tests: tests/unit/cloud/console/test_numbers.py."""

from django import template

register = template.Library()


@register.filter
def dollars(micros: int | None) -> str:
    """Millionths of a US dollar, as dollars and cents."""
    return "" if micros is None else f"${micros / 1_000_000:,.2f}"
