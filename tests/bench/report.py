"""What the bench prints and writes: tables, bars with "met" or "not met", and the raw figures as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence

from attrs import asdict

from tests.bench.figures import Bar, Outcome, Table


def lines(name: str, outcome: Outcome) -> Iterator[str]:
    """The report of one scenario."""
    for table in outcome.tables:
        yield from ("", f"{name}: {table.title}")
        yield from _table_lines(table)
    yield from (f"  {_bar_line(bar)}" for bar in outcome.bars)
    yield from (f"  FAULT: {fault}" for fault in outcome.faults)


def as_json(settings: Mapping[str, str], outcomes: Mapping[str, Outcome], errors: Mapping[str, str]) -> str:
    """Every raw figure, so that the tables can be made again from them, and the bars."""
    scenarios = {name: _outcome_fields(outcome) for name, outcome in outcomes.items()}
    return json.dumps({"settings": settings, "scenarios": scenarios, "errors": errors}, indent=1) + "\n"


def bars_summary(outcomes: Mapping[str, Outcome]) -> str:
    """How many of all bars are met, in one line."""
    bars = [bar for outcome in outcomes.values() for bar in outcome.bars]
    return f"bars: {sum(bar.met for bar in bars)} of {len(bars)} met"


def _outcome_fields(outcome: Outcome) -> dict[str, object]:
    bars = [{**asdict(bar), "met": bar.met} for bar in outcome.bars]
    return {"bars": bars, "raw": outcome.raw, "faults": outcome.faults}


def _table_lines(table: Table) -> Iterator[str]:
    grid = [table.columns, *table.rows]
    widths = [max(len(row[column]) for row in grid) for column in range(len(table.columns))]
    for row in grid:
        yield "  " + _row_line(row, widths)


def _row_line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = row
    figures = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
    return "   ".join([first.ljust(widths[0]), *figures])


def _bar_line(bar: Bar) -> str:
    sign = ">=" if bar.at_least else "<="
    verdict = "met" if bar.met else "not met"
    return f"bar: {bar.text}: {bar.measured:,.2f}{bar.unit}, asked {sign} {bar.limit:g}{bar.unit}: {verdict}"
