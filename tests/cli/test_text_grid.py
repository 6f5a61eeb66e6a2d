from rich.cells import cell_len

from stoker.cli.text_grid import Column, Grid, total_width


def grid(*rows: tuple[str, str], sections: frozenset[int] = frozenset()) -> Grid:
    columns = (Column((("Name", ""),)), Column((("Cost", ""),), right=True))
    cells = tuple(tuple(((text, ""),) for text in row) for row in rows)
    return Grid(columns, cells, sections)


def text(table: Grid, widths: list[int]) -> list[str]:
    return [line.plain for line in table.lines(widths)]


def test_columns_are_as_wide_as_they_must_be() -> None:
    table = grid(("a", "1.00"), ("bcdef", "10.00"))
    assert table.natural_widths() == [5, 5]
    assert total_width([5, 5]) == 12
    assert text(table, [5, 5]) == [
        "Name    Cost",
        "────────────",
        "a       1.00",
        "bcdef  10.00",
    ]


def test_wide_characters_count_twice() -> None:
    table = grid(("模型", "1.00"))
    assert table.natural_widths() == [4, 4]
    assert {cell_len(line) for line in text(table, [4, 4])} == {10}


def test_what_is_too_wide_is_folded_and_nothing_is_lost() -> None:
    lines = text(grid(("abcdefghij", "1")), [4, 4])
    assert lines[2:] == ["abcd     1", "efgh", "ij"]


def test_sections_are_set_apart() -> None:
    lines = text(grid(("a", "1"), ("b", "2"), sections=frozenset({1})), [4, 4])
    assert lines[2:] == ["a        1", "", "b        2"]
