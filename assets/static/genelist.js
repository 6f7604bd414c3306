/* The gene panel beside the slide: which gene, which layer, how it is coloured, how it is spread over this slide. Everything is worked out in the browser. */
(() => {
  "use strict";
  const L = window.Lightbox, S = (L.slide = L.slide || {}), el = L.el;
  const SORTS = [["score", "Best predicted first"], ["name", "Name"], ["here", "Varies most on this slide"]], BINS = 28, MOST_PCA = 3000;

  /* Values of one gene where they are known, or null when there are too few to say anything. */
  const known = (map, layer, g) => { const out = []; for (let i = 0; i < map.n; i += 1) { const v = map.value(layer, g, i); if (!Number.isNaN(v)) out.push(v); } return out; };
  const stats = (map, layer, g) => { let n = 0, sum = 0, square = 0; for (let i = 0; i < map.n; i += 1) { const v = map.value(layer, g, i); if (!Number.isNaN(v)) { n += 1; sum += v; square += v * v; } } const mean = sum / n; return { n, mean, sd: Math.sqrt(Math.max(0, square / n - mean * mean)) }; };
  S.correlation = (map, g) => { let n = 0, a = 0, b = 0, aa = 0, bb = 0, ab = 0; for (let i = 0; i < map.n; i += 1) { const p = map.value("predicted", g, i), m = map.value("measured", g, i); if (Number.isNaN(p) || Number.isNaN(m)) continue; n += 1; a += p; b += m; aa += p * p; bb += m * m; ab += p * m; } const va = aa / n - (a / n) ** 2, vb = bb / n - (b / n) ** 2; return n > 2 && va > 1e-9 && vb > 1e-9 ? (ab / n - (a / n) * (b / n)) / Math.sqrt(va * vb) : NaN; };

  /* Moran's I with the nearest lattice neighbours (distance up to 1.5 pitches), each weighing the same. */
  const pairs = (map) => {
    if (map.pairs && map.pairs.job === map.job) return map.pairs.list;
    const reach = map.pitch * 1.5, cells = new Map(), key = (x, y) => Math.floor(x / reach) * 200003 + Math.floor(y / reach), list = [];
    for (let i = 0; i < map.n; i += 1) { const k = key(map.xy[2 * i], map.xy[2 * i + 1]); if (!cells.has(k)) cells.set(k, []); cells.get(k).push(i); }
    for (let i = 0; i < map.n; i += 1) for (let a = -1; a <= 1; a += 1) for (let b = -1; b <= 1; b += 1) for (const j of cells.get(key(map.xy[2 * i] + a * reach, map.xy[2 * i + 1] + b * reach)) || []) if (j > i && Math.hypot(map.xy[2 * j] - map.xy[2 * i], map.xy[2 * j + 1] - map.xy[2 * i + 1]) <= reach) list.push(i, j);
    map.pairs = { job: map.job, list }; return list;
  };
  const moran = (map, layer, g) => { const { n, mean, sd } = stats(map, layer, g); if (n < 10 || sd < 1e-6) return NaN; const list = pairs(map); let sum = 0, count = 0; for (let k = 0; k < list.length; k += 2) { const a = map.value(layer, g, list[k]), b = map.value(layer, g, list[k + 1]); if (!Number.isNaN(a) && !Number.isNaN(b)) { sum += (a - mean) * (b - mean); count += 1; } } return count ? sum / count / (sd * sd) : NaN; };

  /* The three main directions of the predicted expression as red, green and blue: power iteration on the genes' covariance of at most 3,000 spots. */
  const asColours = (map) => {
    const G = map.genes.length, step = Math.max(1, Math.ceil(map.count() / MOST_PCA)), rows = [];
    for (let i = 0, seen = 0; i < map.n; i += 1) if (map.layers.predicted.filled[i]) { if (seen % step === 0) rows.push(i); seen += 1; }
    if (rows.length < 10) return null;
    const mean = new Float64Array(G), C = new Float64Array(G * G);
    for (const i of rows) for (let g = 0; g < G; g += 1) mean[g] += map.value("predicted", g, i) / rows.length;
    for (const i of rows) { const d = Float64Array.from({ length: G }, (_, g) => map.value("predicted", g, i) - mean[g]); for (let a = 0; a < G; a += 1) for (let b = a; b < G; b += 1) C[a * G + b] += d[a] * d[b]; }
    for (let a = 0; a < G; a += 1) for (let b = 0; b < a; b += 1) C[a * G + b] = C[b * G + a];
    const axes = [];
    for (let k = 0; k < 3; k += 1) { let v = Float64Array.from({ length: G }, (_, g) => Math.sin(1 + g * (k + 1))); for (let t = 0; t < 60; t += 1) { const w = new Float64Array(G); for (let a = 0; a < G; a += 1) for (let b = 0; b < G; b += 1) w[a] += C[a * G + b] * v[b]; for (const u of axes) { let dot = 0; for (let g = 0; g < G; g += 1) dot += w[g] * u[g]; for (let g = 0; g < G; g += 1) w[g] -= dot * u[g]; } const size = Math.hypot(...w) || 1; v = w.map((x) => x / size); } axes.push(v); }
    const scores = axes.map((v) => { const out = new Float32Array(map.n).fill(NaN); for (let i = 0; i < map.n; i += 1) if (map.layers.predicted.filled[i]) { let s = 0; for (let g = 0; g < G; g += 1) s += v[g] * (map.value("predicted", g, i) - mean[g]); out[i] = s; } return out; });
    const colours = new Uint8Array(map.n * 3);
    scores.forEach((s, k) => { const sorted = Float32Array.from(s.filter((x) => !Number.isNaN(x))).sort(), low = sorted[Math.floor(sorted.length * 0.02)], high = sorted[Math.floor(sorted.length * 0.98)]; for (let i = 0; i < map.n; i += 1) colours[3 * i + k] = Math.round(255 * Math.min(1, Math.max(0, (s[i] - low) / (high - low || 1)))); });
    return colours;
  };

  S.genePanel = (view, map) => {
    const root = el("section", { class: "lb-genes", "aria-label": "Expression" }), status = el("div", {}), strip = L.statusStrip(status), files = el("p", { class: "lb-hint lb-genes-files" });
    const search = el("input", { type: "search", placeholder: "Find a gene", "aria-label": "Find a gene", autocomplete: "off" }), sort = el("select", { "aria-label": "Order of the genes" }, ...SORTS.map(([k, t]) => el("option", { value: k }, t))), list = el("div", { class: "lb-genes-list", role: "listbox", "aria-label": "Genes", tabindex: 0 });
    const name = el("h4", {}), about = el("p", { class: "lb-hint" }), layers = el("div", {}), chart = el("canvas", { class: "lb-canvas lb-genes-chart", role: "img" }), low = el("input", { type: "number", step: 0.1, "aria-label": "Lower limit of the colours" }), high = el("input", { type: "number", step: 0.1, "aria-label": "Upper limit of the colours" });
    const opacity = el("input", { type: "range", min: 0, max: 100, value: 75, "aria-label": "Opacity of the map" }), shown = el("input", { type: "checkbox", checked: true }), shared = el("select", { "aria-label": "Scale" }, el("option", { value: "" }, "a scale for each gene"), el("option", { value: "all" }, "one scale for all")), reset = el("button", { type: "button", class: "lb-small" }, "Reset"), pca = el("button", { type: "button", class: "lb-small", "aria-pressed": "false" }, "All genes as colours");
    const measures = el("p", { class: "lb-hint", role: "status" }), body = el("div", { class: "lb-genes-body", hidden: true });
    body.append(name, about, layers, chart, el("div", { class: "lb-tools" }, el("label", {}, "from ", low), el("label", {}, "to ", high), reset, shared), el("div", { class: "lb-tools" }, el("label", {}, shown, " Map"), el("label", { class: "lb-genes-opacity" }, "Opacity ", opacity), pca), measures, el("div", { class: "lb-tools" }, search, sort), list);
    root.append(status, body, files); view.panel.append(root);
    let rows = [], timer = 0, last = null;

    const order = () => {
      const by = sort.value, ids = map.genes.map((_, g) => g), varies = by === "here" ? ids.map((g) => stats(map, "predicted", g).sd || 0) : null;
      const score = (g) => { if (map.has("measured")) { const r = S.correlation(map, g); if (!Number.isNaN(r)) return r; } return map.genes[g].score === null ? -2 : map.genes[g].score; };
      const scores = by === "score" ? ids.map(score) : null;
      return ids.sort((a, b) => (by === "name" ? map.genes[a].name.localeCompare(map.genes[b].name, "en", { numeric: true }) : by === "here" ? varies[b] - varies[a] : scores[b] - scores[a]));
    };
    const word = (gene, g) => { const r = map.has("measured") ? S.correlation(map, g) : NaN; return !Number.isNaN(r) ? `r ${r.toFixed(2)} here` : gene.score === null || gene.score === undefined ? "not measured" : `r ${gene.score.toFixed(2)}`; };
    const fill = () => {
      const wanted = search.value.trim().toLowerCase(), ids = order().filter((g) => !wanted || map.genes[g].name.toLowerCase().includes(wanted));
      rows = ids.map((g) => { const gene = map.genes[g], e = el("div", { role: "option", id: `${view.element.closest("[id]").id}_gene_${g}`, "aria-selected": String(g === map.gene), "data-gene": gene.name }, el("span", {}, gene.name), gene.group ? el("em", {}, gene.group) : null, el("small", {}, word(gene, g))); e.onclick = () => map.choose(g); e.dataset.g = g; return e; });
      list.replaceChildren(...(rows.length ? rows : [el("p", { class: "lb-hint" }, "No gene of that name.")])); mark();
    };
    const mark = () => { let chosen = null; for (const e of rows) { const on = +e.dataset.g === map.gene; e.setAttribute("aria-selected", String(on)); if (on) chosen = e; } if (chosen) { list.setAttribute("aria-activedescendant", chosen.id); const a = chosen.offsetTop, b = a + chosen.offsetHeight; if (a < list.scrollTop) list.scrollTop = a; else if (b > list.scrollTop + list.clientHeight) list.scrollTop = b - list.clientHeight; } };
    const step = (by) => { if (!rows.length) return; const at = rows.findIndex((e) => +e.dataset.g === map.gene), next = rows[Math.min(rows.length - 1, Math.max(0, at + by))]; map.choose(+next.dataset.g); };
    list.onkeydown = (e) => { const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -1e6, End: 1e6 }[e.key]; if (by) { e.preventDefault(); step(by); } };
    search.onkeydown = (e) => { if (e.key === "ArrowDown" || e.key === "Enter") { e.preventDefault(); if (e.key === "Enter" && rows.length) map.choose(+rows[0].dataset.g); list.focus(); } };
    search.oninput = fill; sort.onchange = fill;

    const histogram = () => {
      const w = chart.clientWidth, h = 74, dpr = window.devicePixelRatio || 1; if (!w || !map.n) return;
      chart.style.height = `${h}px`; chart.width = Math.round(w * dpr); chart.height = Math.round(h * dpr); const g = chart.getContext("2d"); g.setTransform(dpr, 0, 0, dpr, 0, 0); g.clearRect(0, 0, w, h);
      const [a, b] = map.limits(), pad = (b - a) * 0.25, x0 = a - pad, x1 = b + pad, values = known(map, map.layer, map.gene), bins = new Array(BINS).fill(0); let under = 0, over = 0;
      for (const v of values) { if (v < a) under += 1; if (v > b) over += 1; bins[Math.min(BINS - 1, Math.max(0, Math.floor(((v - x0) / (x1 - x0)) * BINS)))] += 1; }
      const top = Math.max(...bins, 1), at = (v) => ((v - x0) / (x1 - x0)) * w;
      bins.forEach((count, k) => { const middle = x0 + ((k + 0.5) / BINS) * (x1 - x0), c = S.geneRamp(map.layer, (middle - a) / (b - a)); g.fillStyle = `rgb(${c[0]},${c[1]},${c[2]})`; g.strokeStyle = L.css("--border-color-primary"); const height = (count / top) * 44; g.fillRect((k / BINS) * w, 46 - height, w / BINS - 1, height); if (count) g.strokeRect((k / BINS) * w, 46 - height, w / BINS - 1, height); });
      for (let x = at(a); x < at(b); x += 1) { const c = S.geneRamp(map.layer, (x - at(a)) / (at(b) - at(a))); g.fillStyle = `rgb(${c[0]},${c[1]},${c[2]})`; g.fillRect(x, 48, 1.2, 9); }
      g.fillStyle = L.css("--body-text-color"); g.font = "12px system-ui, sans-serif"; const t = L.num(b), u = map.unit; g.fillText(L.num(a), at(a) - 2, 70); g.fillText(t, at(b) - g.measureText(t).width + 2, 70); g.fillText(u, (w - g.measureText(u).width) / 2, 70);
      chart.setAttribute("aria-label", `${map.genes[map.gene].name}, ${map.names[map.layer]}: ${values.length} spots, colours from ${L.num(a)} to ${L.num(b)} ${u}; ${under} spots below, ${over} above.`);
      const I = (layer) => { const v = moran(map, layer, map.gene); return Number.isNaN(v) ? null : `${map.names[layer].toLowerCase()} ${v.toFixed(2)}`; }, texts = [];
      if (map.has("measured")) { const r = S.correlation(map, map.gene); if (!Number.isNaN(r)) texts.push(`Correlation with the ${map.names.measured.toLowerCase()} values over this slide's spots: r = ${r.toFixed(2)}.`); }
      const clumped = ["predicted", ...(map.has("measured") ? ["measured"] : [])].map(I).filter(Boolean); if (clumped.length) texts.push(`How much neighbours are alike (Moran's I): ${clumped.join(", ")}.`);
      if (under + over) texts.push(`${under + over} of ${values.length} spots lie outside the limits and take the end colour.`);
      measures.textContent = texts.join(" ");
    };
    const settle = () => { clearTimeout(timer); timer = setTimeout(histogram, 60); };
    const look = () => {
      if (!map.n) return;
      const gene = map.genes[map.gene], [a, b] = map.limits(); name.textContent = gene.name;
      about.textContent = [gene.group === "local" ? "Planted to follow what lies inside the spot." : gene.group === "context" ? "Planted to follow what lies around the spot." : "", gene.score === null || gene.score === undefined ? "How well it is predicted was not measured." : `On held-out sections it was predicted with r = ${gene.score.toFixed(2)}.`, map.note].filter(Boolean).join(" ");
      if (document.activeElement !== low) low.value = +a.toFixed(2); if (document.activeElement !== high) high.value = +b.toFixed(2);
      mark(); settle();
    };
    const tabs = () => { const offered = ["predicted", "measured", "difference", "spread"].filter(map.has).map((k) => [k, map.names[k]]); layers.replaceChildren(...(offered.length > 1 ? [L.segment("What is shown", offered, map.layer, (k) => { map.set({ layer: k, colours: null }); pca.setAttribute("aria-pressed", "false"); })] : [])); };
    const limited = () => { const a = +low.value, b = +high.value; if (low.value !== "" && high.value !== "" && b > a) map.setLimits(a, b); };
    low.onchange = high.onchange = limited; reset.onclick = () => map.setLimits(null); shared.onchange = () => map.set({ shared: shared.value === "all" });
    opacity.oninput = () => map.set({ opacity: +opacity.value / 100 }); shown.onchange = () => map.set({ shown: shown.checked });
    pca.onclick = () => { const on = pca.getAttribute("aria-pressed") !== "true"; const colours = on ? asColours(map) : null; if (on && !colours) return; pca.setAttribute("aria-pressed", String(on)); map.set({ colours }); };

    map.on("layout", () => { body.hidden = false; search.value = ""; tabs(); fill(); look(); });
    map.on("clear", () => { body.hidden = true; files.replaceChildren(); strip.say(""); pca.setAttribute("aria-pressed", "false"); });
    map.on("spots", () => { look(); if (sort.value !== "name" && map.has("measured")) fill(); });
    map.on("gene", () => { pca.setAttribute("aria-pressed", "false"); look(); }); map.on("look", look);
    map.on("progress", (e) => { last = e; strip.progress(e.of ? e.done / e.of : 1); });
    map.on("state", (job) => { const e = last; strip.show(job, job.state === "running" ? (e && map.n ? `${e.stage === "visible window" ? "The part you see first: " : ""}${e.done.toLocaleString("en")} of ${e.of.toLocaleString("en")} spots, about ${L.seconds(e.left_s)} left.` : "Looking for tissue and laying out spots …") : job.state === "done" && e ? `${e.of.toLocaleString("en")} spots${e.stage === "from the cache" ? ", kept from before" : ` in ${L.seconds(e.seconds)}`}.` : job.state === "stopped" ? `Stopped; ${map.count().toLocaleString("en")} spots are predicted.` : ""); root.dataset.state = job.state; });
    map.on("result", (e) => { const names = { csv: "CSV table", h5ad: "h5ad file" }; files.replaceChildren(...(Object.keys(e.files || {}).length ? ["Take along: ", ...Object.entries(e.files).flatMap(([kind, file], k) => [k ? ", " : "", el("a", { href: `lightbox/jobs/${encodeURIComponent(map.job)}/files/${file}`, download: file }, names[kind] || kind)]), "."] : [])); });
    view.on("window", (w) => { if (map.n) root.dataset.inwindow = map.inWindow(w); });
    new ResizeObserver(settle).observe(root); L.onTheme(settle);
    view.stage.addEventListener("keydown", (e) => { if (e.key === "," || e.key === ".") { e.preventDefault(); e.stopPropagation(); step(e.key === "." ? 1 : -1); } }, true);

    /* what lies under the pointer */
    const tip = el("div", { class: "lb-tip lb-genes-tip", hidden: true }); view.stage.append(tip);
    view.on("hover", (p) => {
      const v = view.v(); if (!p || !map.n || !v || !map.shown) { tip.hidden = true; return; }
      const i = map.nearest(p.x, p.y, Math.max(map.pitch * 0.6, 6 / v.scale)); if (i < 0) { tip.hidden = true; return; }
      const value = map.value(map.layer, map.gene, i), [x, y] = v.toScreen(map.xy[2 * i], map.xy[2 * i + 1]);
      tip.textContent = `${map.genes[map.gene].name}: ${Number.isNaN(value) ? "not predicted yet" : `${value.toFixed(2)} ${map.unit}`}`; tip.hidden = false; tip.style.left = `${Math.min(v.width - 190, x + 14)}px`; tip.style.top = `${Math.max(4, y - 34)}px`;
    });
    return root;
  };
})();
