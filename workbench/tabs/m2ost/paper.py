"""Numbers of others, apart from ours and with their source. The paper's main table could not be retrieved."""

from __future__ import annotations

from workbench.parts import html

IN_SHORT = "The main table could not be retrieved. What second-hand notes of it say, and a later and stricter comparison by others, stands below; none of it was measured here."
_OWN = (
    (
        "Size and cost at 224 px",
        "6.81 M numbers, 2.24 G operations a spot",
        "the size was computed again here from the released file; operations without attention's own products",
    ),
    ("cSCC, by spot: closest view alone, then three views", "49.31 % → 50.50 %", "notes on the AAAI paper"),
    ("HER2+ and cSCC against ST-Net, by spot", "more than 1 point each", "notes on the AAAI paper"),
    ("All three sets against eleven others", "best, p < 0.05 by paired t-test", "notes on the AAAI paper; no figures"),
)
_OTHERS = (
    ("ST-Net", ".194 / .345", ".116 / .223", ".274 / .382"),
    ("HisToGene", ".168 / .302", ".100 / .219", ".133 / .261"),
    ("Hist2ST", ".118 / .248", ".044 / .099", ".004 / .053"),
    ("BLEEP", ".151 / .277", ".095 / .193", ".269 / .396"),
    ("TRIPLEX", ".314 / .497", ".206 / .352", ".374 / .490"),
    ("M2OST", ".231 / .410", ".201 / .353", ".300 / .490"),
)


def table() -> str:
    """Both tables as cards."""
    own = html.table(
        ["What", "Number", "Source"],
        [
            [html.text(what), html.text(value), f'<span class="lb-wrap">{html.text(source)}</span> {html.badge("secondary")}']
            for what, value, source in _OWN
        ],
    )
    others = html.table(
        ["Method", "HER2ST: all / best 50 genes", "STNet set", "skinST"],
        [[html.text(cell) for cell in row] for row in _OTHERS],
        row_classes=["", "", "", "", "", "lb-own"],
    )
    words = (
        f"<p>Correlation by gene over patients left out in turn, as quoted in notes on Gene-DML (arXiv 2507.14670) {html.badge('secondary')}. By spot the same networks "
        "reach near 50 %: both are true, they are different questions.</p>"
    )
    return html.card("Told of the paper", own) + html.card("A stricter comparison by others", words, others)
