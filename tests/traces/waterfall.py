"""A trace as a picture: rows and bars as Jaeger lays them out, from OTLP's JSON.

Left the spans as a tree, each with its service and pod; right their bars on one clock, with marks where events happened and a line
of words for each event. A span in error has a red mark.
"""

from html import escape

WIDTH, LEFT, RIGHT = 1120, 475, 30
TOP, ROW, NOTE, INDENT = 92, 30, 19, 18
# One a process, as they come.
COLOURS = ["#7a5ea8", "#17a2a2", "#c98500", "#3d7de0"]
RED, INK, PALE, LINE = "#d4333f", "#24292f", "#667079", "#e3e6e9"


class Row:
    def __init__(self, span, resource, depth):
        self.name, self.depth = span["name"], depth
        self.start, self.end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        self.attributes, resource = plain(span), plain(resource)
        self.service, pod = resource["service.name"], resource.get("k8s.pod.name")
        self.process = self.service + (f" · {pod}" if pod else "")
        self.failed = span.get("status", {}).get("code") in (2, "STATUS_CODE_ERROR")
        self.events = [(int(event["timeUnixNano"]), event["name"], plain(event)) for event in span.get("events", [])]


def plain(holder):
    return {one["key"]: next(iter(one["value"].values())) for one in holder.get("attributes", [])}


def rows(document):
    """The spans of OTLP's JSON, parents before children, in the order in which they began."""
    found = [(span, group["resource"]) for group in document["resourceSpans"]
             for scope in group["scopeSpans"] for span in scope["spans"]]
    found.sort(key=lambda pair: int(pair[0]["startTimeUnixNano"]))
    known = {span["spanId"] for span, _ in found}

    def under(parent, depth):
        for span, resource in found:
            above = span.get("parentSpanId") or None
            if (above if above in known else None) == parent:
                yield Row(span, resource, depth)
                yield from under(span["spanId"], depth + 1)

    return list(under(None, 0))


def words(name, told):
    """An event in a line."""
    short = name.removeprefix("fusebox.")
    error = f" ({told['error.type']})" if "error.type" in told else ""
    if short == "retry":
        wait = millis(float(told["fusebox.wait"]) * 1e9)
        return f"retry: {told['fusebox.provider']} is asked again after {wait}{error}"
    if short == "fallback":
        return f"fallback: {told['fusebox.fallback.from']} → {told['fusebox.fallback.to']}{error}"
    told = ", ".join(f"{key.removeprefix('fusebox.')}={value}" for key, value in told.items())
    return f"{short}: {told}"


def millis(nanos):
    value = nanos / 1e6
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def draw(document):
    """The picture, as SVG."""
    all_rows = rows(document)
    begin, end = min(row.start for row in all_rows), max(row.end for row in all_rows)
    colours = {}
    for row in all_rows:
        colours.setdefault(row.process, COLOURS[len(colours) % len(COLOURS)])
    scale = (WIDTH - LEFT - RIGHT) / (end - begin)

    def x(at):
        return LEFT + (at - begin) * scale

    body, y = [], TOP
    for row in all_rows:
        body += bar(row, y, x, colours[row.process])
        y += ROW
        for at, name, told in sorted(row.events, key=lambda event: event[0]):
            body += note(x(at), y, words(name, told))
            y += NOTE
        y += 5 if row.events else 0
    height = y + 14
    title = f"{all_rows[0].service}: {all_rows[0].name}"
    failed = sum(row.failed for row in all_rows)
    summary = (f"{millis(end - begin)} · {len(all_rows)} spans · {len({row.service for row in all_rows})} services · "
               f"{failed} in error · depth {max(row.depth for row in all_rows) + 1}")
    head = [
        text(20, 32, title, 17, INK, "600"),
        text(20, 54, summary, 12.5, PALE),
        *ticks(begin, end, x, height),
    ]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" role="img" '
        f'aria-label="{escape(title)}: {escape(summary)}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *head, *body, "</svg>", "",
    ])


def bar(row, y, x, colour):
    """One span: its place in the tree, and its bar."""
    left, middle = 20 + row.depth * INDENT, y + ROW / 2
    from_x, to_x = x(row.start), max(x(row.end), x(row.start) + 2)
    took = millis(row.end - row.start)
    inside = to_x - from_x > 72
    parts = [f'<line x1="0" x2="{WIDTH}" y1="{y}" y2="{y}" stroke="{LINE}"/>']
    parts += [f'<line x1="{20 + step * INDENT + 2}" x2="{20 + step * INDENT + 2}" y1="{y}" y2="{y + ROW}" stroke="{LINE}"/>'
              for step in range(row.depth)]
    parts.append(f'<rect x="{left}" y="{y + 6}" width="4" height="{ROW - 12}" rx="1" fill="{colour}"/>')
    mark = ""
    if row.failed:
        parts.append(f'<circle cx="{left + 17}" cy="{middle}" r="7" fill="{RED}"/>')
        parts.append(text(left + 17, middle + 4, "!", 11, "#fff", "700", "middle"))
        mark = 16
    name = row.name if row.depth == 0 or "fusebox.provider" not in row.attributes else spoken(row)
    parts.append(
        f'<text x="{left + 12 + (mark or 0)}" y="{middle + 4}" font-size="12.5" fill="{INK}">'
        f'<tspan font-weight="600">{escape(row.process)}</tspan>'
        f'<tspan dx="7" fill="{PALE}" font-size="11.5">{escape(name)}</tspan></text>'
    )
    parts.append(f'<rect x="{from_x:.1f}" y="{y + 7}" width="{to_x - from_x:.1f}" height="{ROW - 14}" rx="2" '
                 f'fill="{colour}"{" stroke=%s" % quoted(RED) if row.failed else ""}><title>{escape(name)}, {took}</title></rect>')
    for at, name, told in row.events:
        if name == "fusebox.retry" and float(told["fusebox.wait"]) > 0:
            to = x(at + float(told["fusebox.wait"]) * 1e9)
            parts.append(f'<rect x="{x(at):.1f}" y="{y + 7}" width="{to - x(at):.1f}" height="{ROW - 14}" fill="#fff" '
                         f'fill-opacity="0.55"/>')
            parts.append(text((x(at) + to) / 2, middle + 4, "waits", 11, INK, anchor="middle"))
    parts += [f'<rect x="{x(at) - 1:.1f}" y="{y + 4}" width="2" height="{ROW - 8}" fill="{INK}"/>' for at, *_ in row.events]
    if inside:
        parts.append(text(to_x - 6, middle + 4, took, 11, "#fff", "600", "end"))
    elif to_x < WIDTH - 80:
        parts.append(text(to_x + 6, middle + 4, took, 11, PALE))
    else:
        parts.append(text(from_x - 6, middle + 4, took, 11, PALE, anchor="end"))
    return parts


def quoted(value):
    return f'"{value}"'


def spoken(row):
    """A call's or an attempt's name, and whom it asked."""
    return row.name if "fusebox.door" in row.attributes else f"{row.name} @ {row.attributes['fusebox.provider']}"


def note(at, y, line):
    """An event's words, under its mark; to the left of it where the right has no room."""
    left_of = at > WIDTH - 6.2 * len(line) - RIGHT
    anchor, shift = ("end", -7) if left_of else ("start", 7)
    return [
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y - 4}" y2="{y + NOTE - 6}" stroke="{INK}" stroke-width="1.2"/>',
        text(at + shift, y + NOTE - 7, line, 11, INK, anchor=anchor),
    ]


def ticks(begin, end, x, height):
    parts = []
    for step in range(5):
        at = begin + (end - begin) * step / 4
        anchor = "start" if step == 0 else "end" if step == 4 else "middle"
        parts.append(f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{TOP - 6}" y2="{height - 8}" stroke="{LINE}"/>')
        parts.append(text(x(at), TOP - 12, millis(at - begin) if step else "0 ms", 11, PALE, anchor=anchor))
    return parts


def text(x, y, words_, size, colour, weight="400", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" font-weight="{weight}" '
            f'text-anchor="{anchor}">{escape(words_)}</text>')
