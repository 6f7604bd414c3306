/* Lengths and magnifications of a slide in words. mpp: µm per level-0 pixel; scale: screen pixels per level-0 pixel. */
(() => {
  "use strict";
  const L = window.Lightbox, S = (L.slide = L.slide || {});
  const USUAL = [1, 1.25, 2, 2.5, 4, 5, 10, 20, 40, 60, 63, 80, 100];

  /* The largest of 1, 2, 5 × 10ⁿ that is not above `most`. */
  const nice = (most) => {
    const tens = 10 ** Math.floor(Math.log10(most)), rest = most / tens;
    return (rest >= 5 ? 5 : rest >= 2 ? 2 : 1) * tens;
  };
  const plain = (v) => String(+v.toPrecision(6));
  const length = (um) => (um >= 1000 ? `${plain(um / 1000)} mm` : um >= 1 ? `${plain(um)} µm` : `${plain(um * 1000)} nm`);

  /* {px, text}: a bar of at most `longest` screen pixels. */
  S.scaleBar = (mpp, scale, longest) => {
    const unit = mpp || 1, value = nice((longest / scale) * unit);
    return { px: (value / unit) * scale, text: mpp ? length(value) : value >= 1 ? `${value.toLocaleString("en")} px` : `${plain(value)} px` };
  };

  /* What the slide's own pixels amount to: 10 µm over the size of a pixel is the usual rule (0.5 µm is 20×). Scanners' own word counts where it fits, and a size near a usual
     objective is called by its name, so that "20×" of a 20× slide shows its pixels one to one. */
  S.objective = (mpp, said) => {
    if (!mpp) return said || null;
    const ruled = 10 / mpp;
    if (said && Math.abs(said / ruled - 1) < 0.16) return said;
    return USUAL.find((usual) => Math.abs(usual / ruled - 1) < 0.06) || ruled;
  };
  S.magnification = (objective, scale) => {
    const m = objective ? objective * scale : scale, digits = m >= 9.95 ? 0 : m >= 0.995 ? 1 : 2;
    return objective ? `${+m.toFixed(digits)}×` : `${+(100 * m).toPrecision(2)} %`;
  };

  /* "x 3,120 µm · y 812 µm (6,240, 1,624 px)", in mm once the slide is large. */
  S.place = (x, y, mpp, width) => {
    const px = `${Math.floor(x).toLocaleString("en")}, ${Math.floor(y).toLocaleString("en")} px`;
    if (!mpp) return px;
    const large = width * mpp >= 10_000, f = (v) => (large ? (v * mpp / 1000).toFixed(3) : Math.round(v * mpp).toLocaleString("en"));
    return `x ${f(x)} · y ${f(y)} ${large ? "mm" : "µm"} (${px})`;
  };
  S.areaText = (px2, mpp) => {
    if (!mpp) return `${L.num(px2)} px²`;
    const um2 = px2 * mpp * mpp;
    return um2 >= 1e5 ? `${L.num(um2 / 1e6)} mm²` : `${Math.round(um2).toLocaleString("en")} µm²`;
  };
})();
