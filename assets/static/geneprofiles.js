/* What the regions drawn on a slide hold: their spots' mean profile, which genes stand out, and one region against another. Worked out in the browser. */
(() => {
  "use strict";
  const L = window.Lightbox, S = (L.slide = L.slide || {}), el = L.el;
  const FEW = 5, TOP = 12, REST = "the rest of the slide";

  const members = (map, region) => { const box = S.bounds(region), out = []; for (let i = 0; i < map.n; i += 1) { const x = map.xy[2 * i], y = map.xy[2 * i + 1]; if (x >= box.x && y >= box.y && x <= box.x + box.width && y <= box.y + box.height && S.inside(region, x, y)) out.push(i); } return out; };
  const moments = (map, g, rows) => { let n = 0, sum = 0, square = 0; for (const i of rows) { const v = map.value(map.layer === "measured" ? "measured" : "predicted", g, i); if (!Number.isNaN(v)) { n += 1; sum += v; square += v * v; } } const mean = n ? sum / n : NaN; return { n, mean, variance: n > 1 ? Math.max(0, (square - n * mean * mean) / (n - 1)) : NaN }; };
  /* Cohen's d: difference of means in units of the pooled deviation. */
  const effect = (a, b) => { const pooled = Math.sqrt(((a.n - 1) * a.variance + (b.n - 1) * b.variance) / (a.n + b.n - 2)); return pooled > 1e-9 ? (a.mean - b.mean) / pooled : NaN; };
  const titled = (region, k) => (region.properties && region.properties.name) || `Region ${k + 1}`;

  S.geneProfiles = (view, map) => {
    const root = el("details", { class: "lb-slide-fold lb-profiles" }), head = el("summary", {}, "Expression in your regions"), first = el("select", { "aria-label": "Region" }), second = el("select", { "aria-label": "Compared with" }), note = el("p", { class: "lb-hint", role: "status" }), table = el("div", { class: "lb-table", tabindex: 0 }), save = el("button", { type: "button", class: "lb-small" }, "Profiles as CSV");
    const tools = el("div", { class: "lb-tools" }, el("label", {}, "Region ", first), el("label", {}, "against ", second), save);
    root.append(head, tools, note, table); root.hidden = true; view.under.append(root);
    let timer = 0;

    const options = () => {
      const now = [first.value, second.value], names = view.regions.map(titled);
      first.replaceChildren(...names.map((t, k) => el("option", { value: k }, t))); second.replaceChildren(el("option", { value: "" }, REST), ...names.map((t, k) => el("option", { value: k }, t)));
      if (now[0] !== "" && +now[0] < names.length) first.value = now[0]; if (now[1] !== "" && +now[1] < names.length) second.value = now[1];
    };
    const draw = () => {
      root.hidden = !map.n || !view.regions.length; if (root.hidden) return;
      const k = +first.value || 0, region = view.regions[k], mine = members(map, region), other = second.value === "" || +second.value === k ? null : +second.value, inside = new Set(mine), against = other === null ? Array.from({ length: map.n }, (_, i) => i).filter((i) => !inside.has(i)) : members(map, view.regions[other]);
      const found = map.genes.map((gene, g) => { const a = moments(map, g, mine), b = moments(map, g, against); return { gene, g, a, b, d: effect(a, b) }; }), counted = Math.max(...found.map((f) => f.a.n), 0), counter = Math.max(...found.map((f) => f.b.n), 0);
      const areaMm = view.mpp ? (S.area(region) * view.mpp * view.mpp) / 1e6 : null; root.dataset.spots = counted;
      if (counted < FEW || counter < FEW) { note.textContent = `${titled(region, k)} holds ${counted} predicted spots${other === null ? "" : `, the other one ${counter}`}: too few to compare (at least ${FEW} each).`; table.replaceChildren(); return; }
      note.textContent = `${titled(region, k)}: ${counted.toLocaleString("en")} spots${areaMm ? `, ${L.num(areaMm)} mm²` : ""}; against ${other === null ? REST : titled(view.regions[other], other)} (${counter.toLocaleString("en")} spots). Effect d: difference of the means in units of the spread among spots. Neighbouring spots are alike, so no probability of error is given.`;
      const ranked = found.filter((f) => !Number.isNaN(f.d)).sort((p, q) => Math.abs(q.d) - Math.abs(p.d)).slice(0, TOP), most = Math.max(...ranked.map((f) => Math.abs(f.d)), 1e-9);
      const bar = (d) => { const i = el("i"); i.style.width = `${(100 * Math.abs(d)) / most}%`; i.style.background = L.colour(d > 0 ? 1 : 0); return el("span", { class: "lb-meter", "aria-hidden": "true" }, i); };
      table.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...["Gene", "Group", "Mean here", "Mean there", "Effect d"].map((t) => el("th", { scope: "col" }, t)))), el("tbody", {}, ...ranked.map((f) => { const b = el("button", { type: "button", class: "lb-small" }, f.gene.name); b.onclick = () => map.choose(f.g); return el("tr", {}, el("th", { scope: "row" }, b), el("td", {}, f.gene.group || "–"), el("td", {}, f.a.mean.toFixed(2)), el("td", {}, f.b.mean.toFixed(2)), el("td", {}, bar(f.d), ` ${f.d > 0 ? "+" : "−"}${Math.abs(f.d).toFixed(2)}`)); }))));
    };
    const soon = () => { clearTimeout(timer); timer = setTimeout(() => { options(); draw(); }, 120); };
    first.onchange = second.onchange = draw;
    save.onclick = () => {
      const quoted = (t) => `"${(/^[\s]*[=+\-@]/.test(t) ? `'${t}` : t).replace(/"/g, '""')}"`, lines = [["region", "spots", "area_mm2", ...map.genes.map((g) => quoted(g.name))].join(",")];
      view.regions.forEach((region, k) => { const rows = members(map, region); lines.push([quoted(titled(region, k)), rows.length, view.mpp ? ((S.area(region) * view.mpp * view.mpp) / 1e6).toFixed(4) : "", ...map.genes.map((_, g) => { const m = moments(map, g, rows); return m.n ? m.mean.toFixed(4) : ""; })].join(",")); });
      S.download(new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" }), `${S.stem(view)}_regions.csv`);
    };
    view.on("regions", soon); map.on("spots", soon); map.on("layout", soon); map.on("clear", () => { root.hidden = true; }); map.on("look", () => { if (root.open) soon(); });
    root.addEventListener("toggle", draw);
    return root;
  };

  /* Every viewer that follows a map gets the three parts. */
  S.onView((view) => { if (!("map" in view.props)) return; const map = S.geneMap(view); view.map = map; S.genePanel(view, map); S.geneProfiles(view, map); });
})();
