"""Tables of objects in a notebook, whose texts visitors and other people choose."""

from attrs import frozen

from fathom_async._util.tables import objects_html, table_html, table_text


@frozen
class Thing:
    name: str
    size: int
    note: str | None = None


def test_what_stands_in_a_table_can_be_no_markup_wherever_it_stands() -> None:
    evil = "<img src=x onerror=alert(1)>'\"&\x1b[2J"
    html = table_html([evil], [[evil], [Thing(evil, 1)]], (), 1, [evil])
    assert "<img" not in html
    assert "\x1b" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") == 4


def test_texts_are_to_the_left_and_figures_to_the_right() -> None:
    html = table_html(["name", "size"], [["a", 1200]], [1], 1)
    assert '<td style="text-align: left">a</td><td>1,200</td>' in html
    assert '<th style="text-align: left">name</th><th>size</th>' in html


def test_objects_have_the_columns_that_one_of_them_has() -> None:
    html = objects_html([Thing("a", 1), Thing("b", 2)], ["there are more"])
    assert html is not None
    assert "note" not in html
    assert html.endswith("</table><p>there are more</p>")
    assert "note" in (objects_html([Thing("a", 1), Thing("b", 2, "new")]) or "")


def test_what_is_no_table_is_none() -> None:
    assert objects_html([]) is None
    assert objects_html([{"name": "a"}]) is None


def test_the_lines_below_say_what_is_left_out() -> None:
    rows = [["a"]] * 70
    assert table_text(["name"], rows, (), 70, ["and so on"]).splitlines()[-2:] == [
        "… and 50 more rows",
        "and so on",
    ]
    assert table_html(["name"], rows, (), 70).endswith("<p>… and 10 more rows</p>")
