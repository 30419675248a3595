"""The few SVG elements that drawings are made of. Texts are escaped by the element tree; looks come from CSS classes."""

from xml.etree import ElementTree as ET


def px(value: float) -> str:
    """A coordinate to a tenth of a pixel, because what nobody sees should not make the page longer."""
    return f"{value:.1f}".removesuffix(".0")


def line(parent: ET.Element, style: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A straight line between two points."""
    (x1, y1), (x2, y2) = start, end
    ET.SubElement(parent, "line", {"class": style, "x1": px(x1), "y1": px(y1), "x2": px(x2), "y2": px(y2)})


def text(parent: ET.Element, style: str, x: float, y: float, words: str) -> None:
    """A text; `style` says where its anchor is."""
    ET.SubElement(parent, "text", {"class": style, "x": px(x), "y": px(y)}).text = words


def box(parent: ET.Element, style: str, corner: tuple[float, float], width: float, height: float) -> None:
    """A rectangle from its upper left corner."""
    (x, y) = corner
    ET.SubElement(parent, "rect", {"class": style, "x": px(x), "y": px(y), "width": px(width), "height": px(height)})


def path(parent: ET.Element, style: str, d: str, at: tuple[float, float] = (0.0, 0.0)) -> None:
    """A path, moved to a point."""
    attributes = {"class": style, "d": d}
    if at != (0.0, 0.0):
        attributes["transform"] = f"translate({px(at[0])} {px(at[1])})"
    ET.SubElement(parent, "path", attributes)


def titled(parent: ET.Element, style: str, title: str) -> ET.Element:
    """A group that shows its title under the pointer."""
    group = ET.SubElement(parent, "g", {"class": style})
    ET.SubElement(group, "title").text = title
    return group
