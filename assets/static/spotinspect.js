/* What the network saw of one spot: three nested views with their patches and its attention, who listens to whom, and how loud each view is.
   props.data = {views: [{label, note, url, off, inner: [{label, rect}], groups: [{title, n, rect, bytes, top}]}], listens: {labels, rows}, gates: {labels, values}, about, empty}.
   rect: [x, y, width, height] in shares of the view's side; bytes: base64, n × n, one byte a patch in 255 steps of `top`. Nothing here asks the server. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el, GAMMA = 0.6;
  const percent = (v) => `${(100 * v).toFixed(v < 0.0995 ? 1 : 0)} %`;

  L.spotInspector = (element, props, watch) => {
    const root = el("div", { class: "lb-spot" }), stage = el("div", { class: "lb-spot-views" }), side = el("div", { class: "lb-spot-side" }), empty = el("p", { class: "lb-hint" });
    const about = el("p", { class: "lb-hint", role: "status" }), strength = el("input", { type: "range", min: 0, max: 100, value: 70, "aria-label": "Strength of the attention" }), sizes = el("select", { "aria-label": "Patch size" });
    const bar = el("div", { class: "lb-tools" }, L.segment("Over the views", [["attention", "Attention"], ["patches", "Patches"], ["none", "Picture only"]], "attention", (key) => { shown = key; draw(); }), el("label", {}, "Patches of ", sizes), el("label", {}, "Strength ", strength));
    element.replaceChildren(root); root.append(about, bar, el("div", { class: "lb-spot-row" }, stage, side), empty);
    let shown = "attention", views = [], kinds = "";

    const show = () => {
      const d = props.data || {}, some = Boolean(d.views && d.views.length);
      bar.hidden = stage.hidden = side.hidden = about.hidden = !some; empty.hidden = some; empty.textContent = d.empty || "Click a spot on the slide.";
      if (!some) { views = []; return; }
      about.textContent = d.about || "";
      const titles = [...new Set(d.views.flatMap((v) => v.groups.map((g) => g.title)))];
      if (titles.join() !== kinds) { kinds = titles.join(); sizes.replaceChildren(el("option", { value: "" }, "all sizes"), ...titles.map((t) => el("option", { value: t }, t))); }
      views = d.views.map((v) => {
        const canvas = el("canvas", { class: "lb-canvas", role: "img" }), image = new Image(); image.onload = draw; image.src = v.url;
        return { v, canvas, image, maps: v.groups.map((g) => Uint8Array.from(atob(g.bytes), (c) => c.charCodeAt(0))), figure: el("figure", { "data-off": v.off ? "yes" : null }, canvas, el("figcaption", {}, el("b", {}, v.label), el("br"), v.off ? "switched off" : v.note)) };
      });
      stage.replaceChildren(...views.map((one) => one.figure));
      side.replaceChildren(listens(d.listens), gates(d.gates)); draw();
    };

    const listens = (m) => {
      if (!m || !m.rows.length) return el("p", { class: "lb-hint" }, "This network sees one view, so no view listens to another.");
      const row = (label, cells) => el("tr", {}, el("th", { scope: "row" }, label), ...cells.map((v) => { const cell = el("td", {}, v === null ? "–" : percent(v)); if (v !== null) { cell.style.background = `color-mix(in srgb, ${L.colour(0)} ${Math.round(60 * v)}%, transparent)`; } return cell; }));
      return el("section", {}, el("h4", {}, "Who listens to which view"), el("div", { class: "lb-table", tabindex: 0 }, el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "listening"), ...m.labels.map((l) => el("th", { scope: "col" }, l)))), el("tbody", {}, ...m.rows.map((r, i) => row(m.labels[i], r))))), el("p", { class: "lb-hint" }, m.note || ""));
    };
    const gates = (g) => {
      if (!g || !g.values.length) return el("p", { class: "lb-hint" }, "This network has no loudness gates.");
      const line = (label, v) => { const i = el("i"); i.style.width = `${Math.min(100, Math.max(0, (v - 1) * 100))}%`; return el("div", { class: "lb-spot-gate" }, el("span", {}, label), el("span", { class: "lb-meter", "aria-hidden": "true" }, i), el("b", {}, `× ${v.toFixed(2)}`)); };
      return el("section", {}, el("h4", {}, "How much each view is turned up"), ...g.values.map((v, i) => line(g.labels[i], v)), el("p", { class: "lb-hint" }, g.note || ""));
    };

    const heat = (g, w, group, bytes, top) => {
      const values = Array.from(bytes, (b) => (top > 0 ? Math.min(1, ((b / 255) * group.top) / top) ** GAMMA : 0)), [x, y, width, height] = group.rect.map((r) => r * w);
      g.drawImage(L.heatLayer({ rows: group.n, columns: group.n, values }), x, y, width, height);
    };
    const lines = (g, w, group) => {
      const [x, y, width, height] = group.rect.map((r) => r * w); g.beginPath();
      for (let i = 0; i <= group.n; i += 1) { g.moveTo(x + (i / group.n) * width, y); g.lineTo(x + (i / group.n) * width, y + height); g.moveTo(x, y + (i / group.n) * height); g.lineTo(x + width, y + (i / group.n) * height); }
      g.strokeStyle = "rgba(255,255,255,.75)"; g.lineWidth = 1; g.stroke();
    };
    const paint = (one, top) => {
      const { canvas, v } = one, w = canvas.clientWidth; if (!w) return;
      const dpr = window.devicePixelRatio || 1; canvas.style.height = `${w}px`; canvas.width = canvas.height = Math.round(w * dpr);
      const g = canvas.getContext("2d"); g.setTransform(dpr, 0, 0, dpr, 0, 0); g.fillStyle = "#fff"; g.fillRect(0, 0, w, w);
      g.imageSmoothingEnabled = true; g.globalAlpha = v.off ? 0.25 : 1; if (one.image.naturalWidth) g.drawImage(one.image, 0, 0, w, w);
      const chosen = v.groups.map((group, k) => [group, one.maps[k]]).filter(([group]) => !sizes.value || group.title === sizes.value).reverse();  // coarse first, so that the fine ones lie on top
      if (!v.off && shown === "attention") { g.globalAlpha = +strength.value / 100; for (const [group, bytes] of chosen) heat(g, w, group, bytes, top); }
      g.globalAlpha = 1;
      if (!v.off && shown === "patches") for (const [group] of chosen) lines(g, w, group);
      for (const inner of v.inner) { const [x, y, width, height] = inner.rect.map((r) => r * w); g.lineWidth = 3.5; g.strokeStyle = "rgba(0,0,0,.6)"; g.strokeRect(x, y, width, height); g.lineWidth = 1.6; g.strokeStyle = "#7cfcff"; g.strokeRect(x, y, width, height); }
      canvas.setAttribute("aria-label", `${v.label}. ${v.off ? "Switched off." : v.note}`);
    };
    const draw = () => {
      const top = Math.max(...views.flatMap((one) => one.v.groups.map((g) => g.top)), 0);
      for (const one of views) paint(one, top);
    };
    strength.oninput = draw; sizes.onchange = draw;
    watch("data", show); new ResizeObserver(draw).observe(root); L.onTheme(draw); show();
  };
})();
