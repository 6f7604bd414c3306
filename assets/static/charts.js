/* Small charts without a library: probability bars, boxes, gauges, a scatter, heat over a picture. Each draws its props.data and carries the
   same numbers as text, so that it reads without colour, on a phone and aloud. Colours count into L.colour. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el, SVG = "http://www.w3.org/2000/svg";
  const svg = (tag, attributes, ...children) => { const e = document.createElementNS(SVG, tag); for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v); e.append(...children); return e; };
  const percent = (v) => (v === null || v === undefined ? "–" : v > 0 && v < 0.0005 ? "< 0.1 %" : `${(100 * v).toFixed(1)} %`);
  const dyed = (e, colour) => { e.style.setProperty("--c", L.colour(colour)); e.dataset.colour = colour; return e; };
  const dot = (colour, shape = "circle") => dyed(el("i", { class: "lb-dot lb-dyed", "data-shape": shape, "aria-hidden": "true" }), colour);
  const redye = (root) => root.querySelectorAll("[data-colour]").forEach((e) => dyed(e, +e.dataset.colour));
  const span = (v, low, high) => `${(100 * Math.min(1, Math.max(0, (v - low) / (high - low || 1)))).toFixed(3)}%`;
  const format = (unit, digits = 3) => (unit === "%" ? percent : (v) => L.num(v, digits) + (unit ? ` ${unit}` : ""));
  const nothing = (data) => el("p", { class: "lb-hint" }, data.empty || "Nothing to show yet.");
  const numbers = (summary, head, rows) => el("details", { class: "lb-notes" }, el("summary", {}, summary), el("div", { class: "lb-table", tabindex: "0", role: "region", "aria-label": summary }, el("table", {}, el("thead", {}, el("tr", {}, ...head.map((h) => el("th", { scope: "col" }, h)))), el("tbody", {}, ...rows.map(([name, ...cells]) => el("tr", {}, el("th", { scope: "row" }, name), ...cells.map((c) => el("td", {}, c))))))));
  L.ramp = (t) => { const RAMP = [[68, 1, 84], [65, 68, 135], [42, 120, 142], [34, 168, 132], [122, 209, 81], [253, 231, 37]], u = Math.min(0.9999, Math.max(0, t)) * (RAMP.length - 1), i = Math.floor(u), f = u - i; return RAMP[i].map((c, j) => Math.round(c + (RAMP[i + 1][j] - c) * f)); };

  /* A chart is a function draw(root, data); it is drawn again when Python sends data and dyed again when the page turns dark or light. With
     props.asks it fires "opened" once it is on screen, so that what nobody looks at is never computed. data.asked, where there is one, is when the
     server was asked, in microseconds: an answer to an older question than the one shown came late and is left aside. */
  const chart = (name, draw) => {
    L[name] = (element, props, watch, trigger) => {
      const root = el("div", { class: "lb-chart", "data-chart": name }); element.replaceChildren(root); let newest = 0;
      const show = () => { const data = props.data || {}; if (data.asked < newest) return; newest = data.asked || newest; draw(root, data); if (data.seq !== undefined) root.dataset.seq = data.seq; };
      watch("data", show); L.onTheme(() => redye(root)); show(); if (props.asks) trigger("opened");
    };
  };
  const heading = (data) => [data.title ? el("h4", { class: "lb-chart-title" }, data.title) : null, data.about ? el("p", { class: "lb-hint" }, data.about) : null].filter(Boolean);

  /* data: {title, about, classes: [name], truth: place or null, series: [{label, colour, values: [0…1], note}], digest, seq}. A table whose cells are bars:
     one row a class, one column a series. Kept in place while names stay, so that bars glide. */
  chart("probabilityBars", (root, data) => {
    if (!data.series || !data.series.length) { root.dataset.shape = ""; root.replaceChildren(...heading(data), nothing(data)); return; }
    const shape = JSON.stringify([data.title, data.about, data.classes, data.truth, data.series.map((s) => [s.label, s.colour, s.note])]);
    if (root.dataset.shape !== shape) { root.dataset.shape = shape; root.replaceChildren(...heading(data), barTable(data), el("p", { class: "lb-digest", role: "status" })); }
    data.series.forEach((s, j) => {
      const best = s.values.indexOf(Math.max(...s.values));
      s.values.forEach((v, i) => { const cell = root.querySelector(`td[data-at="${i},${j}"]`); cell.querySelector("i").style.width = span(v, 0, 1); cell.querySelector("b").textContent = percent(v); cell.classList.toggle("lb-top", i === best); cell.dataset.value = v; });
    });
    root.querySelector(".lb-digest").textContent = data.digest || "";
  });
  const barTable = (data) => {
    const head = el("tr", { role: "row" }, el("th", { scope: "col", role: "columnheader" }, data.classes_title || "Class"), ...data.series.map((s) => el("th", { scope: "col", role: "columnheader", title: s.note }, dot(s.colour), ` ${s.label}`)));
    const rows = data.classes.map((name, i) => el("tr", { role: "row", class: i === data.truth ? "lb-true" : null }, el("th", { scope: "row", role: "rowheader" }, name, i === data.truth ? el("small", {}, ` ${data.truth_word || "(the label)"}`) : null),
      ...data.series.map((s, j) => el("td", { role: "cell", "data-at": `${i},${j}`, "data-label": s.label }, el("span", { class: "lb-track", "aria-hidden": "true" }, dyed(el("i", {}), s.colour)), el("b", {})))));
    return el("div", { class: "lb-bars", tabindex: "0", role: "region", "aria-label": data.title || "Probabilities" }, el("table", { role: "table" }, el("thead", { role: "rowgroup" }, head), el("tbody", { role: "rowgroup" }, ...rows)));
  };

  /* data: {title, about, rows: [{label, colour, values: […], marks: [{label, colour, value, shape}]}], low, high, unit, values_title}. A box from quartile to
     quartile, its line the median, whiskers to the ends, every value a dot. */
  const quantile = (sorted, q) => { const at = (sorted.length - 1) * q, i = Math.floor(at), f = at - i; return sorted[i] + (f ? (sorted[i + 1] - sorted[i]) * f : 0); };
  chart("boxPlot", (root, data) => {
    if (!data.rows || !data.rows.length) { root.replaceChildren(...heading(data), nothing(data)); return; }
    const lo = data.low ?? 0, hi = data.high ?? 1, show = format(data.unit ?? "%"), at = (v) => span(v, lo, hi), table = [];
    const rows = data.rows.map((row) => {
      const s = [...row.values].sort((a, b) => a - b), [q0, q1, q2, q3, q4] = [0, 0.25, 0.5, 0.75, 1].map((q) => quantile(s, q)), track = dyed(el("div", { class: "lb-box-track" }), row.colour);
      const piece = (kind, from, to) => { const e = el("i", { class: `lb-box-${kind}` }); e.style.left = at(from); if (to !== undefined) e.style.width = `calc(${at(to)} - ${at(from)})`; track.append(e); return e; };
      piece("whisker", q0, q4); piece("body", q1, q3); s.forEach((v) => piece("dot", v)); piece("median", q2);
      for (const m of row.marks || []) dyed(piece("mark", m.value), m.colour).dataset.shape = m.shape || "diamond";
      track.setAttribute("role", "img"); track.setAttribute("aria-label", `${row.label}: median ${show(q2)}, middle half ${show(q1)} to ${show(q3)}, from ${show(q0)} to ${show(q4)}` + (row.marks || []).map((m) => `; ${m.label} ${show(m.value)}`).join(""));
      table.push([row.label, ...[q2, q1, q3, q0, q4].map(show), ...(row.marks || []).map((m) => show(m.value))]);
      return el("div", { class: "lb-box-row" }, el("span", { class: "lb-box-label" }, row.label), track, el("span", { class: "lb-box-value" }, show(q2)));
    });
    const first = data.rows[0], marks = (first.marks || []), ticks = el("div", { class: "lb-box-row lb-box-axis", "aria-hidden": "true" }, el("span", {}), el("div", { class: "lb-box-ticks" }, ...[0, 0.25, 0.5, 0.75, 1].map((q) => el("span", {}, show(lo + q * (hi - lo)).replace(".0 ", " ")))), el("span", {}));
    const legend = el("p", { class: "lb-hint lb-keys" }, dot(first.colour), ` ${data.values_title || "values"} `, ...marks.flatMap((m) => [dot(m.colour, m.shape || "diamond"), ` ${m.label} `]));
    root.replaceChildren(...heading(data), legend, el("div", { class: "lb-boxes" }, ...rows, ticks), numbers("The same as numbers", ["", "Median", "Lower quartile", "Upper quartile", "Lowest", "Highest", ...marks.map((m) => m.label)], table));
  });

  /* data: {title, about, items: [{label, value, low, high, unit, text, colour, marks: [{value, label}]}], table: {title, head, rows}}. */
  chart("gauges", (root, data) => {
    if (!data.items || !data.items.length) { root.replaceChildren(...heading(data), nothing(data)); return; }
    root.replaceChildren(...heading(data), ...data.items.map((item) => {
      const lo = item.low ?? 0, hi = item.high ?? 1, words = item.text || format(item.unit ?? "")(item.value), fill = dyed(el("i", {}), item.colour ?? 0), from = Math.min(hi, Math.max(lo, 0)), to = Math.min(hi, Math.max(lo, item.value));
      fill.style.width = span(lo + Math.abs(to - from), lo, hi);
      if (lo < 0) fill.style.marginLeft = span(Math.min(from, to), lo, hi); // a signed value grows from nought
      const marks = (item.marks || []).map((m) => { const e = el("em", { title: `${m.label}: ${L.num(m.value)}` }, el("small", {}, m.label)); e.style.left = span(m.value, lo, hi); return e; });
      const over = item.value > hi ? " (beyond the scale)" : "";
      return el("div", { class: `lb-gauge${marks.length ? " lb-marked" : ""}` }, el("span", { class: "lb-gauge-label" }, item.label), el("div", { class: "lb-gauge-track", role: "meter", "aria-label": item.label, "aria-valuemin": lo, "aria-valuemax": hi, "aria-valuenow": Math.min(hi, Math.max(lo, item.value)), "aria-valuetext": words + over }, fill, ...marks), el("b", {}, words));
    }), ...(data.table ? [numbers(data.table.title, data.table.head, data.table.rows)] : []));
  });

  /* data: {title, about, series: [{label, colour, shape}], points: [{x, y, series, name, tag}], links: [[from, to]], xLabel, yLabel}. Equal scale on both axes. */
  const SHAPES = { circle: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z", square: "M-4.5 -4.5h9v9h-9z", diamond: "M0 -6.5l6 6.5l-6 6.5l-6 -6.5z", triangle: "M0 -6l6 10.5h-12z", cross: "M-5 -5l10 10M5 -5l-10 10" };
  chart("scatter", (root, data) => {
    if (!data.points || !data.points.length) { root.replaceChildren(...heading(data), nothing(data)); return; }
    const w = 520, h = 340, pad = 26, xs = data.points.map((p) => p.x), ys = data.points.map((p) => p.y), mid = (v) => (Math.min(...v) + Math.max(...v)) / 2, reach = (v) => Math.max(...v) - Math.min(...v) || 1e-9;
    const k = Math.min((w - 2 * pad) / reach(xs), (h - 2 * pad) / reach(ys)), X = (p) => w / 2 + (p.x - mid(xs)) * k, Y = (p) => h / 2 - (p.y - mid(ys)) * k;
    const links = (data.links || []).map(([a, b]) => svg("line", { class: "lb-link", x1: X(data.points[a]), y1: Y(data.points[a]), x2: X(data.points[b]), y2: Y(data.points[b]) }));
    const points = data.points.map((p) => { const s = data.series[p.series], g = svg("g", { transform: `translate(${X(p).toFixed(1)} ${Y(p).toFixed(1)})` }, svg("title", {}, `${p.name} (${s.label})`), dyed(svg("path", { d: SHAPES[s.shape] || SHAPES.circle, class: s.shape === "cross" ? "lb-line" : "lb-fill" }), s.colour)); if (p.tag) g.append(svg("text", { x: 8, y: 4 }, p.tag)); return g; });
    const picture = svg("svg", { viewBox: `0 0 ${w} ${h}`, class: "lb-scatter", role: "img", "aria-label": `${data.title}: ${data.points.length} points` }, ...links, ...points);
    const legend = el("p", { class: "lb-hint lb-keys" }, ...data.series.flatMap((s) => [dot(s.colour, s.shape), ` ${s.label} `]), ...(data.names || []).map((n) => el("span", { class: "lb-key" }, n)));
    root.replaceChildren(...heading(data), legend, picture, el("p", { class: "lb-hint" }, [data.xLabel, data.yLabel].filter(Boolean).join("; ")), numbers("The same as numbers", ["Point", "Group", "Across", "Up"], data.points.map((p) => [p.name, data.series[p.series].label, L.num(p.x), L.num(p.y)])));
  });

  /* data: {title, about, picture: {url, alt}, panels: [{title, note, rows, columns, values: […] | bytes: base64 of 0…255, top}], shared, unit}. Heat lies over the
     picture, opaque where it is strong; one scale for all panels if `shared`, else each its own. `top` is the value that 255 stands for. */
  chart("heatOverlay", (root, data) => {
    if (!data.panels || !data.panels.length) { root.replaceChildren(...heading(data), nothing(data)); return; }
    const maps = data.panels.map((p) => p.values || Array.from(atob(p.bytes), (c) => (c.charCodeAt(0) / 255) * p.top)), tops = maps.map((m) => Math.max(...m, 0)), all = Math.max(...tops) || 1;
    const figures = data.panels.map((p, k) => {
      const canvas = el("canvas", { width: p.columns, height: p.rows, role: "img", "aria-label": `${p.title}. ${p.note || ""}` }), g = canvas.getContext("2d"), pixels = g.createImageData(p.columns, p.rows), top = (data.shared ? all : tops[k]) || 1;
      maps[k].forEach((v, i) => { const t = v / top; pixels.data.set([...L.ramp(t), Math.round(255 * Math.min(1, Math.max(0, t)) ** 0.5)], 4 * i); }); g.putImageData(pixels, 0, 0);
      return el("figure", {}, el("div", { class: "lb-heat-stage" }, el("img", { src: data.picture.url, alt: data.picture.alt || "" }), canvas), el("figcaption", {}, el("b", {}, p.title), p.note ? ` ${p.note}` : ""));
    });
    const strength = el("input", { type: "range", min: 0, max: 100, value: root.dataset.strength || 80, "aria-label": "Strength of the overlay" }), apply = () => { root.dataset.strength = strength.value; root.style.setProperty("--heat", strength.value / 100); };
    strength.oninput = apply; apply();
    const scale = el("canvas", { width: 64, height: 1, "aria-hidden": "true" }), g = scale.getContext("2d"); for (let x = 0; x < 64; x += 1) { g.fillStyle = `rgb(${L.ramp(x / 63)})`; g.fillRect(x, 0, 1, 1); }
    root.replaceChildren(...heading(data), el("div", { class: "lb-heats" }, ...figures), el("div", { class: "lb-tools" }, el("span", {}, "0"), scale, el("span", {}, data.shared ? L.num(all) + (data.unit ? ` ${data.unit}` : "") : "most of each picture"), el("label", {}, "Overlay ", strength)));
  });
})();
