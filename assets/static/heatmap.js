/* Heat map over (η, ρ), filled in cell by cell by a sweep job. Diverged cells are hatched. props.job = {id} or props.recorded = {events, note}. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el, M = { left: 70, right: 96, top: 10, bottom: 46 };
  /* A cell is kept under "column,row": column counts η (the event's j), row counts ρ (its i). */
  /* Viridis sampled at six points; dark = low. Readable with every common colour blindness and in grey. */
  const RAMP = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]];
  const ramp = (t) => { const u = Math.min(0.9999, Math.max(0, t)) * (RAMP.length - 1), i = Math.floor(u), f = u - i; return RAMP[i].map((c, j) => Math.round(c + (RAMP[i + 1][j] - c) * f)); };

  L.heatmap = (element, props, watch, trigger) => {
    const canvas = el("canvas", { class: "lb-canvas", role: "img", tabindex: "0", "aria-label": "Heat map, still empty: press “Fill the map”." }), tip = el("p", { class: "lb-hint", "aria-live": "polite" }), root = el("div", { class: "lb-heat" });
    element.replaceChildren(root);
    canvas.hidden = true;
    const strip = L.statusStrip(root);
    let grid = null, cells = new Map(), field = "accuracy", stop = () => {}, at = null, files = null;
    root.append(el("div", { class: "lb-tools" }, L.segment("Colour shows", [["accuracy", "Validation accuracy"], ["loss", "Validation loss"]], field, (key) => { field = key; draw(); })), canvas, tip);
    const take_along = L.exportBar(root);

    const box = () => { const w = canvas.clientWidth, h = 340; return { w, h, cw: (w - M.left - M.right) / grid.lrs.length, ch: (h - M.top - M.bottom) / grid.rhos.length }; };
    const range = () => { const v = [...cells.values()].filter((c) => !c.diverged && c[field] !== null).map((c) => c[field]); return v.length ? [Math.min(...v), Math.max(...v)] : [0, 1]; };
    const shade = (v, [lo, hi]) => { const t = hi > lo ? (v - lo) / (hi - lo) : 0.5; return ramp(field === "loss" ? 1 - t : t); };
    function draw() {
      if (!grid || !canvas.clientWidth) return;
      const dpr = window.devicePixelRatio || 1, { w, h, cw, ch } = box(); canvas.style.height = `${h}px`; canvas.width = Math.round(w * dpr); canvas.height = Math.round(h * dpr);
      const g = canvas.getContext("2d"), ink = L.css("--body-text-color-subdued"), r = range(); g.setTransform(dpr, 0, 0, dpr, 0, 0); g.font = "12px sans-serif";
      for (let i = 0; i < grid.lrs.length; i += 1) for (let j = 0; j < grid.rhos.length; j += 1) {
        const x = M.left + i * cw, y = h - M.bottom - (j + 1) * ch, c = cells.get(`${i},${j}`);
        g.fillStyle = L.css("--background-fill-secondary"); g.fillRect(x, y, cw - 1, ch - 1);
        if (!c) continue;
        if (c.diverged) { g.save(); g.beginPath(); g.rect(x, y, cw - 1, ch - 1); g.clip(); g.strokeStyle = ink; g.lineWidth = 1.2; for (let d = -ch; d < cw; d += 7) { g.beginPath(); g.moveTo(x + d, y + ch); g.lineTo(x + d + ch, y); g.stroke(); } g.restore(); continue; }
        const rgb = shade(c[field], r); g.fillStyle = `rgb(${rgb})`; g.fillRect(x, y, cw - 1, ch - 1);
        if (cw > 38 && ch > 20) { g.fillStyle = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] > 140 ? "#111" : "#fff"; g.textAlign = "center"; g.textBaseline = "middle"; g.fillText(L.num(c[field], 2), x + cw / 2, y + ch / 2); }
      }
      if (at) { g.strokeStyle = L.css("--body-text-color"); g.lineWidth = 2.5; g.strokeRect(M.left + at[0] * cw, h - M.bottom - (at[1] + 1) * ch, cw - 1, ch - 1); }
      g.fillStyle = ink; g.textAlign = "center"; g.textBaseline = "top"; grid.lrs.forEach((v, i) => { if (cw > 34 || i % 2 === 0) g.fillText(L.num(v, 2), M.left + (i + 0.5) * cw, h - M.bottom + 6); }); g.fillText("learning rate η", M.left + (cw * grid.lrs.length) / 2, h - 18);
      g.textAlign = "right"; g.textBaseline = "middle"; grid.rhos.forEach((v, j) => g.fillText(L.num(v, 2), M.left - 6, h - M.bottom - (j + 0.5) * ch)); g.save(); g.translate(12, (h - M.bottom) / 2); g.rotate(-Math.PI / 2); g.textAlign = "center"; g.fillText("damping ρ", 0, 0); g.restore();
      const bx = w - M.right + 22, bh = h - M.top - M.bottom; for (let y = 0; y < bh; y += 1) { const v = r[0] + (1 - y / bh) * (r[1] - r[0]); g.fillStyle = `rgb(${shade(v, r)})`; g.fillRect(bx, M.top + y, 14, 1.5); }
      g.fillStyle = ink; g.textAlign = "left"; g.fillText(L.num(r[1]), bx + 19, M.top + 6); g.fillText(L.num(r[0]), bx + 19, M.top + bh - 6);
      canvas.dataset.cells = cells.size;
      canvas.setAttribute("aria-label", `Heat map of ${field} over learning rate and damping: ${cells.size} of ${grid.lrs.length * grid.rhos.length} cells, ${[...cells.values()].filter((c) => c.diverged).length} diverged.`);
    }
    const tell = () => { const c = at && cells.get(`${at[0]},${at[1]}`); tip.textContent = c ? `η = ${L.num(c.lr)}, ρ = ${L.num(c.rho)}: ${c.diverged ? "diverged" : `validation accuracy ${L.num(c.accuracy)}, validation loss ${L.num(c.loss)}`}. Longest possible step η/(2√ρ) = ${L.num(c.lr / (2 * Math.sqrt(c.rho)))}; local rate near a minimum η/ρ = ${L.num(c.lr / c.rho)}.` : grid ? "Point at a cell, or use the arrow keys, to read it. Hatched: training diverged." : "Press “Fill the map”: one whole training for each pair of η and ρ, a few seconds in all for the small tasks."; };
    const clampAt = (i, j) => { at = [Math.min(grid.lrs.length - 1, Math.max(0, i)), Math.min(grid.rhos.length - 1, Math.max(0, j))]; draw(); tell(); };
    canvas.onpointermove = (e) => { if (!grid) return; const { h, cw, ch } = box(); clampAt(Math.floor((e.offsetX - M.left) / cw), Math.floor((h - M.bottom - e.offsetY) / ch)); };
    canvas.onkeydown = (e) => { const d = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key]; if (!d || !grid) return; e.preventDefault(); const [i, j] = at || [0, 0]; clampAt(i + d[0], j + d[1]); };

    const events = (list) => { for (const e of list) { if (e.kind === "meta") { canvas.hidden = false; grid = { lrs: e.lrs, rhos: e.rhos, title: e.title }; cells = new Map(); } if (e.kind === "cell") cells.set(`${e.j},${e.i}`, e); if (e.kind === "result") files = e.files; } if (grid) strip.progress(cells.size / (grid.lrs.length * grid.rhos.length)); draw(); tell(); };
    const show = (job, text) => strip.show(job, text || (grid ? `${grid.title || ""}: ${cells.size} of ${grid.lrs.length * grid.rhos.length} trainings` : "Getting ready: loading the data …"));
    const follow = () => { if (!props.job || !props.job.id) return; stop(); at = null; cells = new Map(); files = null; take_along.clear(); let last = null; stop = L.follow(props.job.id, { onEvents: events, onState: (j) => { show(j); if (L.ended(j.state) && last !== j.state) { last = j.state; if (files && j.state !== "failed") take_along.show(j.id, files); trigger("ended", { state: j.state, id: j.id }); } } }); };
    watch("job", follow);
    new ResizeObserver(draw).observe(canvas); L.onTheme(draw); tell(); follow();
    if (props.recorded && props.recorded.events) { events(props.recorded.events); show({ state: "recorded" }, props.recorded.note); }
  };
})();
