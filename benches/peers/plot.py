"""The plot of rows a second by loader: two panels of bars, as SVG."""

import html

WIDTH, BAR, GAP, LEFT, HEAD = 860, 22, 8, 360, 32
OURS, PEER, TEXT, MUTED = "#e8552d", "#8a99ad", "#1d2733", "#5b6876"


def svg(figures):
    parts, y = [], 16
    for kind, title in (("narrow", "Narrow rows (3 fields)"), ("wide", "Wide rows (20 fields, nested)")):
        lines = [f for f in figures if f["data"] == kind and "every default" not in f["name"]]
        lines = [f for f in lines if "Delta" not in f["name"] and "--json" not in f["name"]]
        if lines:
            y = panel(parts, y, title, lines)
    style = "text{font:13px system-ui,sans-serif}"
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img">\n'
        f"<style>{style}</style>\n"
        f'<rect width="{WIDTH}" height="{y}" rx="6" fill="#fff"/>\n{body}\n</svg>\n'
    )


def panel(parts, y, title, lines):
    most = max(line["rows_per_s"] for line in lines)
    ours = next((f["rows_per_s"] for f in lines if f["name"] == "zerobus"), None)
    parts.append(
        f'<text x="16" y="{y + 18}" fill="{TEXT}" font-weight="600">{title}: rows/s, acknowledged</text>'
    )
    y += HEAD
    for line in sorted(lines, key=lambda line: -line["rows_per_s"]):
        is_ours = line["name"] == "zerobus"
        width = max(1, line["rows_per_s"] / most * (WIDTH - LEFT - 150))
        value = short(line["rows_per_s"])
        if ours and not is_ours:
            value += f" ({ours / line['rows_per_s']:.1f} x)"
        base = y + BAR - 6
        parts += [
            f'<text x="{LEFT - 10}" y="{base}" text-anchor="end" fill="{TEXT}">{html.escape(line["name"])}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{OURS if is_ours else PEER}"/>',
            f'<text x="{LEFT + width + 8:.1f}" y="{base}" fill="{MUTED}">{value}</text>',
        ]
        y += BAR + GAP
    return y + 16


def short(rows):
    return f"{rows / 1e6:.1f} M" if rows >= 1e6 else f"{rows / 1e3:.0f} k"
