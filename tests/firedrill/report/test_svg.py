from xml.etree import ElementTree as ET

from firedrill.report.svg import box, line, path, px, text, titled


def test_a_coordinate_has_at_most_one_decimal() -> None:
    assert [px(value) for value in (3.0, 3.25, 0.04, -1.06)] == ["3", "3.2", "0", "-1.1"]


def test_text_is_escaped() -> None:
    parent = ET.Element("g")
    text(parent, 'a"b', 1, 2, "<b> & c")
    assert ET.tostring(parent, encoding="unicode") == '<g><text class="a&quot;b" x="1" y="2">&lt;b&gt; &amp; c</text></g>'


def test_elements_carry_class_and_place() -> None:
    parent = ET.Element("g")
    line(parent, "a", (0, 1), (2, 3))
    box(parent, "b", (4, 5), 6, 7)
    path(parent, "c", "M0 0", at=(8, 9))
    titled(parent, "d", "what")
    assert ET.tostring(parent, encoding="unicode") == (
        '<g><line class="a" x1="0" y1="1" x2="2" y2="3" /><rect class="b" x="4" y="5" width="6" height="7" />'
        '<path class="c" d="M0 0" transform="translate(8 9)" /><g class="d"><title>what</title></g></g>'
    )
