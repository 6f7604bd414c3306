/* What a network was shown and where it looked, one panel a variant. Layer, head, map strength and full size are chosen here, without a server.
   props.data = {side, grid: [rows, columns], layers, heads, even, region: run lengths | null, panels: [{id, label, colour, answer, note, seen, full, rect, maps, tops, mass}], empty}.
   maps: base64, one byte a patch; for each layer its heads, then their mean; the rollout last. With props.asks it fires "opened" whenever it comes into sight. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el, GAMMA = 0.6;
  const percent = (v) => (v === null || v === undefined || Number.isNaN(v) ? "–" : `${(100 * v).toFixed(v < 0.0995 ? 1 : 0)} %`);

  L.lookPanels = (element, props, watch, trigger) => {
    const root = el("div", { class: "lb-looks" }), grid = el("div", { class: "lb-looks-grid" }), text = el("p", { class: "lb-hint", role: "status" }), empty = el("p", { class: "lb-hint" });
    const layer = el("select", { "aria-label": "Layer" }), head = el("select", { "aria-label": "Head" }), strength = el("input", { type: "range", min: 0, max: 100, value: 65, "aria-label": "Strength of the attention map" });
    const bar = el("div", { class: "lb-tools" }, el("label", {}, "Layer ", layer), el("label", {}, "Head ", head), el("label", { class: "lb-prompt-range" }, el("span", {}, "Map"), strength), L.segment("Picture", [["seen", "As CLIP sees it"], ["full", "Full size"]], "seen", (key) => { which = key; draw(); }), L.segment("Colour scale", [["same", "One scale"], ["own", "Each its own"]], "same", (key) => { scale = key; draw(); }));
    element.replaceChildren(root); root.append(bar, grid, text, empty);
    let which = "seen", scale = "same", shape = "", views = [];

    const data = () => props.data || {};
    const index = () => { const d = data(); return layer.value === "rollout" ? d.layers * (d.heads + 1) : +layer.value * (d.heads + 1) + (head.value === "mean" ? d.heads : +head.value); };
    const name = () => (layer.value === "rollout" ? "all layers together (rollout)" : `layer ${+layer.value + 1}, ${head.value === "mean" ? "mean of its heads" : `head ${+head.value + 1}`}`);
    const choices = (d) => {
      const now = JSON.stringify([d.layers, d.heads]); if (now === shape) return; shape = now;
      const option = (value, label) => el("option", { value }, label);
      layer.replaceChildren(option("rollout", "All together (rollout)"), ...Array.from({ length: d.layers }, (_, i) => option(i, `${i + 1} of ${d.layers}`)));
      head.replaceChildren(option("mean", "Mean"), ...Array.from({ length: d.heads }, (_, i) => option(i, `${i + 1} of ${d.heads}`)));
    };
    const load = (url) => { if (!url) return null; const image = new Image(); image.onload = () => draw(); image.src = url; return image; };
    const show = () => {
      const d = data(), some = Boolean(d.panels && d.panels.length);
      bar.hidden = grid.hidden = text.hidden = !some; empty.hidden = some; empty.textContent = d.empty || "Nothing to show yet.";
      if (!some) { grid.replaceChildren(); views = []; return; }
      choices(d);
      views = d.panels.map((p) => {
        const canvas = el("canvas", { class: "lb-canvas", role: "img" }), mass = el("span", {}), dot = el("i", { class: "lb-dot" }); dot.style.background = L.colour(p.colour);
        return { p, canvas, mass, dot, seen: load(p.seen), full: load(p.full), bytes: Uint8Array.from(atob(p.maps), (c) => c.charCodeAt(0)),
          figure: el("figure", { "data-mode": p.id }, canvas, el("figcaption", {}, dot, el("b", {}, ` ${p.label}`), el("br"), p.answer, el("br"), mass, p.note ? el("small", {}, p.note) : null)) };
      });
      grid.replaceChildren(...views.map((v) => v.figure)); draw();
    };
    const panel = (v, top) => {
      const d = data(), { canvas, p } = v, w = canvas.clientWidth, k = index(), [rows, columns] = d.grid; if (!w) return;
      const dpr = window.devicePixelRatio || 1; canvas.style.height = `${w}px`; canvas.width = canvas.height = Math.round(w * dpr);
      const g = canvas.getContext("2d"); g.setTransform(dpr, 0, 0, dpr, 0, 0); g.fillStyle = "#000"; g.fillRect(0, 0, w, w);
      const large = which === "full" && v.full && p.rect, image = large ? v.full : v.seen, at = large ? p.rect.map((x) => x * w) : [0, 0, w, w];
      g.imageSmoothingEnabled = Boolean(large); if (image && image.naturalWidth) g.drawImage(image, ...at);
      const bytes = v.bytes.subarray(k * rows * columns, (k + 1) * rows * columns), own = p.tops[k], values = Array.from(bytes, (b) => (top > 0 ? Math.min(1, ((b / 255) * own) / top) ** GAMMA : 0));
      g.globalAlpha = +strength.value / 100; g.imageSmoothingEnabled = true; g.drawImage(L.heatLayer({ rows, columns, values }), 0, 0, w, w); g.globalAlpha = 1;
      if (d.region && p.mass) {
        g.save(); g.scale(w / d.side, w / d.side); const path = L.masks.outline(d.region, d.side, d.side);
        g.lineWidth = (3.5 * d.side) / w; g.strokeStyle = "rgba(0,0,0,.7)"; g.stroke(path); g.lineWidth = (1.6 * d.side) / w; g.strokeStyle = "#7cfcff"; g.stroke(path); g.restore();
      }
      const inside = p.mass ? p.mass[k] : null; v.mass.textContent = inside !== null ? `${percent(inside)} of its attention inside` : d.region ? "no share: this panel has a frame of its own" : "no region to look into"; v.figure.dataset.mass = inside;
      canvas.setAttribute("aria-label", `${p.label}: ${p.answer}. Attention, ${name()}: ${percent(inside)} inside the region.`);
    };
    const draw = () => {
      const d = data(); if (!d.panels || !d.panels.length) return;
      head.disabled = layer.value === "rollout";
      const k = index(), top = Math.max(...d.panels.map((p) => p.tops[k]));
      views.forEach((v) => { v.dot.style.background = L.colour(v.p.colour); panel(v, scale === "same" ? top : v.p.tops[k]); });
      text.textContent = `Attention of ${name()}. ` + (d.region ? `The region covers ${percent(d.even)} of the patches: that much would lie inside if CLIP looked everywhere alike.` : "No segment is counted in, so there is no region.");
    };
    for (const control of [layer, head, strength]) control.oninput = draw;
    watch("data", show); new ResizeObserver(draw).observe(root); L.onTheme(draw); show();
    if (props.asks) new IntersectionObserver((entries) => { if (entries.some((e) => e.isIntersecting)) trigger("opened"); }).observe(element);
  };
})();
