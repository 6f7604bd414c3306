/* A line plot on a canvas for live curves: points are only ever appended, at most 2,000 are drawn, axes carry units. */
(() => {
  "use strict";
  const L = window.Lightbox, MAX_DRAWN = 2000;
  const M = { left: 68, right: 14, top: 12, bottom: 40 };

  const niceTicks = (lo, hi, n) => {
    const raw = (hi - lo) / Math.max(1, n), mag = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 2.5, 5, 10].map((k) => k * mag).find((s) => s >= raw) || raw;
    const out = []; for (let v = Math.ceil(lo / step) * step; v <= hi + step * 1e-9; v += step) out.push(Math.abs(v) < step * 1e-9 ? 0 : v);
    return out;
  };
  const logTicks = (lo, hi) => {
    const a = Math.floor(Math.log10(lo)), b = Math.ceil(Math.log10(hi)), every = Math.max(1, Math.ceil((b - a) / 6)), out = [];
    for (let k = a; k <= b; k += 1) { if ((k - a) % every === 0) out.push(10 ** k); if (b - a <= 2) out.push(2 * 10 ** k, 5 * 10 ** k); }
    return out.filter((v) => v >= lo * 0.999 && v <= hi * 1.001);
  };

  L.Plot = class {
    /* opts: {title, xLabel, yLabel, xLog, yLog, height, describe}. Lines are told apart by id. */
    constructor(parent, opts) {
      this.opts = { height: 280, ...opts }; this.lines = new Map(); this.marks = []; this.hover = null; this.frames = 0; this.drawn = 0;
      this.canvas = L.el("canvas", { class: "lb-canvas", role: "img", tabindex: "0" });
      this.tip = L.el("div", { class: "lb-tip", hidden: true });
      this.root = L.el("figure", { class: "lb-plot" }, L.el("figcaption", {}, opts.title || ""), L.el("div", { class: "lb-plot-box" }, this.canvas, this.tip));
      parent.append(this.root);
      this.canvas.addEventListener("pointermove", (e) => { this.hover = e.offsetX; this.later(); });
      this.canvas.addEventListener("pointerleave", () => { this.hover = null; this.later(); });
      this.canvas.addEventListener("keydown", (e) => {
        const step = { ArrowLeft: -12, ArrowRight: 12 }[e.key];
        if (step) { this.hover = Math.min(this.canvas.clientWidth - M.right, Math.max(M.left, (this.hover ?? M.left) + step)); this.later(); e.preventDefault(); }
        if (e.key === "Escape") { this.hover = null; this.later(); }
      });
      new ResizeObserver(() => this.later()).observe(this.canvas);
      L.onTheme(() => this.later());
    }
    title(text) { this.opts.title = text; this.root.firstChild.textContent = text; }
    clear() { this.lines.clear(); this.marks = []; this.later(); }
    /* line(id, {label, colour, faint}) declares; append(id, xs, ys) adds points. x must not go back. */
    line(id, look) { if (!this.lines.has(id)) this.lines.set(id, { x: [], y: [], hidden: false, ...look }); else Object.assign(this.lines.get(id), look); return this.lines.get(id); }
    append(id, xs, ys) { const l = this.lines.get(id); for (let i = 0; i < xs.length; i++) if (ys[i] !== null && xs[i] !== null) { l.x.push(xs[i]); l.y.push(ys[i]); } this.later(); }
    later() { if (this.queued) return; this.queued = true; requestAnimationFrame(() => { this.queued = false; this.draw(); }); }

    bounds() {
      let x0 = Infinity, x1 = -Infinity; const ys = [];
      for (const l of this.lines.values()) {
        if (l.hidden || !l.x.length) continue;
        x0 = Math.min(x0, l.x[0]); x1 = Math.max(x1, l.x[l.x.length - 1]);
        const stride = Math.max(1, Math.floor(l.y.length / 400));
        for (let i = 0; i < l.y.length; i += stride) if (!this.opts.yLog || l.y[i] > 0) ys.push(l.y[i]);
        ys.push(l.y[l.y.length - 1]);
      }
      for (const m of this.marks) if (m.y !== undefined) ys.push(m.y);
      if (!ys.length) return null;
      ys.sort((a, b) => a - b);
      // one exploding curve must not flatten all the others: the top is cut above ten times the 90th percentile (the cut curve leaves through the top)
      let y0 = ys[0], y1 = ys[ys.length - 1]; const p90 = ys[Math.floor(ys.length * 0.9)];
      if (!this.opts.yLog && this.opts.cut !== false && p90 > 0 && y1 > 10 * p90) y1 = 2 * p90;
      if (this.opts.yLog && y1 > 1e4 * p90) y1 = 1e2 * p90;
      if (this.opts.yMin !== undefined) y0 = Math.min(y0, this.opts.yMin);
      if (this.opts.yMax !== undefined) y1 = Math.max(y1, this.opts.yMax);
      if (this.opts.yLog) { y0 = Math.max(y0, y1 * 1e-12) / 1.15; y1 *= 1.15; } else { const pad = (y1 - y0 || Math.abs(y1) || 1) * 0.05; y0 = this.opts.yMin === y0 ? y0 : y0 - pad; y1 += pad; }
      if (x1 <= x0) x1 = x0 + 1;
      return { x0: this.opts.xMin ?? x0, x1, y0, y1 };
    }

    draw() {
      const c = this.canvas, w = c.clientWidth, h = this.opts.height, dpr = window.devicePixelRatio || 1;
      if (!w) return;
      if (c.width !== Math.round(w * dpr) || c.height !== Math.round(h * dpr)) { c.width = Math.round(w * dpr); c.height = Math.round(h * dpr); c.style.height = `${h}px`; }
      const g = c.getContext("2d"); g.setTransform(dpr, 0, 0, dpr, 0, 0); g.clearRect(0, 0, w, h);
      const ink = L.css("--body-text-color-subdued"), grid = L.css("--border-color-primary"), font = L.css("--font") || "sans-serif";
      g.font = `12px ${font}`; this.frames += 1; c.dataset.frames = this.frames;
      const b = this.bounds(); this.b = b;
      if (!b) { g.fillStyle = ink; g.textAlign = "center"; g.fillText(this.opts.empty || "Nothing to draw yet.", w / 2, h / 2); c.setAttribute("aria-label", `${this.opts.title}: nothing yet`); return; }
      const { left, right, top, bottom } = M, xLog = this.opts.xLog, yLog = this.opts.yLog;
      const tx = xLog ? Math.log10 : (v) => v, ty = yLog ? Math.log10 : (v) => v;
      const ax = tx(Math.max(b.x0, xLog ? 1e-12 : -Infinity)), bx = tx(b.x1), ay = ty(b.y0), by = ty(b.y1);
      const X = (v) => left + ((tx(v) - ax) / (bx - ax)) * (w - left - right), Y = (v) => h - bottom - ((ty(v) - ay) / (by - ay)) * (h - top - bottom);
      this.X = X; this.Y = Y;
      g.strokeStyle = grid; g.fillStyle = ink; g.lineWidth = 1; g.textAlign = "right"; g.textBaseline = "middle";
      for (const v of yLog ? logTicks(b.y0, b.y1) : niceTicks(b.y0, b.y1, 5)) { const y = Y(v); g.beginPath(); g.moveTo(left, y); g.lineTo(w - right, y); g.stroke(); g.fillText(L.num(v), left - 6, y); }
      g.textAlign = "center"; g.textBaseline = "top";
      for (const v of xLog ? logTicks(b.x0, b.x1) : niceTicks(b.x0, b.x1, Math.max(2, Math.floor(w / 110)))) { const x = X(v); if (x > w - right - 8 && w < 300) continue; g.fillText(L.num(v), x, h - bottom + 6); g.beginPath(); g.moveTo(x, h - bottom); g.lineTo(x, h - bottom + 4); g.stroke(); }
      g.fillText(this.opts.xLabel || "", (left + w - right) / 2, h - 16);
      g.save(); g.translate(9, (top + h - bottom) / 2); g.rotate(-Math.PI / 2); g.textBaseline = "middle"; g.fillText(this.opts.yLabel || "", 0, 0); g.restore();
      g.save(); g.beginPath(); g.rect(left, top - 2, w - left - right + 2, h - top - bottom + 4); g.clip();
      for (const m of this.marks) { g.setLineDash([3, 3]); g.strokeStyle = m.colour === undefined ? ink : L.colour(m.colour); g.beginPath(); if (m.y !== undefined) { g.moveTo(left, Y(m.y)); g.lineTo(w - right, Y(m.y)); } else { g.moveTo(X(m.x), top); g.lineTo(X(m.x), h - bottom); } g.stroke(); }
      const shown = [...this.lines.values()].filter((l) => !l.hidden && l.x.length), budget = Math.max(40, Math.floor(MAX_DRAWN / Math.max(1, shown.length)));
      let points = 0;
      for (const l of shown) {
        g.strokeStyle = L.colour(l.colour); g.globalAlpha = l.faint ? 0.35 : 1; g.lineWidth = l.faint ? 1 : 2; g.setLineDash(l.faint ? [] : L.dash(l.colour)); g.lineJoin = "round";
        const stride = Math.max(1, Math.ceil(l.x.length / budget)); g.beginPath();
        for (let i = 0; i < l.x.length; i += stride) { const y = yLog && !(l.y[i] > 0) ? h : Y(l.y[i]); i ? g.lineTo(X(l.x[i]), y) : g.moveTo(X(l.x[i]), y); points += 1; }
        const k = l.x.length - 1; g.lineTo(X(l.x[k]), Y(l.y[k])); g.stroke(); g.setLineDash([]);
        if (l.end) { g.font = `bold 15px ${font}`; g.fillStyle = L.colour(l.colour); g.textAlign = "center"; g.textBaseline = "middle"; g.fillText(l.end, Math.min(w - right - 6, X(l.x[k])), Math.max(top + 8, Y(l.y[k]))); g.font = `12px ${font}`; }
      }
      g.globalAlpha = 1;
      for (const m of this.marks) if (m.label) { g.fillStyle = ink; g.textBaseline = "bottom"; g.setLineDash([]); if (m.y !== undefined) { g.textAlign = "right"; g.fillText(m.label, w - right - 4, Y(m.y) - 2); } else { g.textAlign = "left"; g.fillText(m.label, X(m.x) + 4, top + 14); } }
      (this.opts.after || (() => {}))(g, X, Y, { w, h, M });
      g.restore();
      this.drawn = points; c.dataset.points = points; c.dataset.total = shown.reduce((n, l) => n + l.x.length, 0);
      this.readOut(g, shown, w, h);
      c.setAttribute("aria-label", `${this.opts.title}. ` + shown.filter((l) => !l.faint).map((l) => `${l.label}: ${L.num(l.y[l.y.length - 1])}`).join("; "));
    }
    /* The values under the pointer (or the arrow keys), in a little table beside it. */
    readOut(g, shown, w, h) {
      if (this.hover === null || !this.b) { this.tip.hidden = true; return; }
      const px = Math.min(w - M.right, Math.max(M.left, this.hover)), bold = shown.filter((l) => !l.faint);
      g.setLineDash([]); g.strokeStyle = L.css("--body-text-color-subdued"); g.lineWidth = 1; g.beginPath(); g.moveTo(px, M.top); g.lineTo(px, h - M.bottom); g.stroke();
      this.tip.replaceChildren();
      for (const l of bold) {
        let a = 0, z = l.x.length - 1; while (a < z) { const m = (a + z) >> 1; this.X(l.x[m]) < px ? (a = m + 1) : (z = m); }
        const dot = L.el("i", {}); dot.style.background = L.colour(l.colour);
        this.tip.append(L.el("div", {}, dot, `${l.label} `, L.el("b", {}, L.num(l.y[a])), L.el("small", {}, ` at ${L.num(l.x[a])}`)));
      }
      this.tip.hidden = !bold.length; this.tip.style.left = `${px > w / 2 ? px - this.tip.offsetWidth - 10 : px + 10}px`;
    }
  };
})();
