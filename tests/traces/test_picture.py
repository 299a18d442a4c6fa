"""The picture of a trace is true to it: every span has a bar in its place, every event its words."""

from xml.etree import ElementTree

from draw import a_real_trace
from waterfall import draw, rows

NAMESPACE = "{http://www.w3.org/2000/svg}"


def test_a_real_trace_is_drawn_with_every_span_in_its_place():
    document = a_real_trace()
    picture = ElementTree.fromstring(draw(document))
    bars = [bar for bar in picture.iter(f"{NAMESPACE}rect") if bar.find(f"{NAMESPACE}title") is not None]
    spans = rows(document)
    assert len(bars) == len(spans) == 7
    begin, end = spans[0].start, spans[0].end
    left, right = float(bars[0].get("x")), float(bars[0].get("x")) + float(bars[0].get("width"))
    for bar, span in zip(bars, spans):
        at = left + (span.start - begin) / (end - begin) * (right - left)
        assert abs(float(bar.get("x")) - at) < 1, span.name
    said = " ".join("".join(text.itertext()) for text in picture.iter(f"{NAMESPACE}text"))
    assert "retry: vllm is asked again after 120 ms (model_overloaded)" in said
    assert "fallback: vllm → other-pod (model_overloaded)" in said
    assert [span.depth for span in spans] == [0, 1, 2, 2, 2, 3, 4]
    assert sum(span.failed for span in spans) == 2
