/* Expression over a slide: one job's spots kept as compact arrays, and the layer that draws one gene of them. The panel is in genelist.js, regions in geneprofiles.js.
   Follows view.props.map = {job}; events layout, spots, progress, result of models/m2ost/slide_run.py. Switching a gene asks nobody: everything is here.
   map = {n, genes, xy, diameter, pitch, scale, layers: {name: {data: Int16Array gene-major, filled, count}}, gene, layer, limits(g), value(layer, g, i), on(event, f), …}; events: layout, spots, state, gene, look, spot. */
(() => {
  "use strict";
  const L = window.Lightbox, S = (L.slide = L.slide || {});
  const DISC_PX = 6.5, SHADES = 64, UNIT = "log(1+CPM)", GONE = -32768;
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;

  /* Colours that people with any kind of colour vision can order: viridis for amounts (Smith and van der Walt, 2015, sampled), blue-white-orange for differences, and one hue for uncertainty. */
  const AMOUNT = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37]];
  const DIFFER = [[5, 63, 115], [61, 128, 184], [160, 198, 224], [245, 245, 242], [247, 193, 130], [222, 122, 34], [138, 62, 4]];
  const DOUBT = [[250, 249, 246], [222, 205, 232], [186, 152, 205], [144, 96, 170], [94, 47, 122], [50, 12, 76]];
  const shade = (stops, t) => { const x = Math.min(1, Math.max(0, t)) * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(x)), f = x - i; return stops[i].map((v, k) => Math.round(v + f * (stops[i + 1][k] - v))); };
  const RAMPS = { predicted: AMOUNT, measured: AMOUNT, difference: DIFFER, spread: DOUBT };
  const LAYERS = { predicted: "Predicted", measured: "Measured", difference: "Predicted − measured", spread: "Uncertainty" };
  S.geneRamp = (layer, t) => shade(RAMPS[layer] || AMOUNT, t);

  const pitchOf = (xy, n) => { // median distance to the nearest neighbour, by a grid of buckets
    if (n < 2) return 100;
    let x0 = Infinity, y0 = Infinity, x1 = -Infinity, y1 = -Infinity;
    for (let i = 0; i < n; i += 1) { x0 = Math.min(x0, xy[2 * i]); x1 = Math.max(x1, xy[2 * i]); y0 = Math.min(y0, xy[2 * i + 1]); y1 = Math.max(y1, xy[2 * i + 1]); }
    const side = Math.max(1, Math.sqrt(((x1 - x0 + 1) * (y1 - y0 + 1)) / n)), cells = new Map(), key = (x, y) => Math.floor((x - x0) / side) * 100003 + Math.floor((y - y0) / side);
    for (let i = 0; i < n; i += 1) { const k = key(xy[2 * i], xy[2 * i + 1]); if (!cells.has(k)) cells.set(k, []); cells.get(k).push(i); }
    const found = [], step = Math.max(1, Math.floor(n / 400));
    for (let i = 0; i < n; i += step) { let best = Infinity; for (let a = -1; a <= 1; a += 1) for (let b = -1; b <= 1; b += 1) for (const j of cells.get(key(xy[2 * i] + a * side, xy[2 * i + 1] + b * side)) || []) if (j !== i) best = Math.min(best, Math.hypot(xy[2 * j] - xy[2 * i], xy[2 * j + 1] - xy[2 * i + 1])); if (best < Infinity) found.push(best); }
    return found.length ? found.sort((a, b) => a - b)[found.length >> 1] : side;
  };

  S.geneMap = (view) => {
    const listeners = {}, own = {};
    const map = {
      job: "", n: 0, genes: [], layers: {}, gene: 0, layer: "predicted", opacity: 0.75, shown: true, shared: false, colours: null, spot: -1, unit: UNIT, names: LAYERS,
      on: (event, f) => { (listeners[event] = listeners[event] || []).push(f); },
      emit: (event, data) => (listeners[event] || []).forEach((f) => f(data)),
      has: (layer) => (layer === "difference" ? Boolean(map.layers.measured && map.layers.predicted) : Boolean(map.layers[layer])),
      value(layer, g, i) {
        if (layer === "difference") { const p = map.layers.predicted, m = map.layers.measured; return p && m && p.filled[i] && m.filled[i] ? (p.data[g * map.n + i] - m.data[g * map.n + i]) / map.scale : NaN; }
        const one = map.layers[layer]; return one && one.filled[i] ? one.data[g * map.n + i] / map.scale : NaN;
      },
      count: () => (map.layers.predicted ? map.layers.predicted.count : 0),
      limits(g = map.gene) {
        const key = map.layer === "measured" ? "predicted" : map.layer; // one scale for what is to be compared
        const said = own[`${key} ${map.shared ? "all" : map.genes[g].name}`]; if (said) return said;
        if (key === "difference") return [-2, 2];
        if (key === "spread") return [0, 0.6];
        return map.shared ? map.sharedLimits : map.genes[g].limits;
      },
      setLimits(low, high) { const key = map.layer === "measured" ? "predicted" : map.layer; if (low === null) delete own[`${key} ${map.shared ? "all" : map.genes[map.gene].name}`]; else own[`${key} ${map.shared ? "all" : map.genes[map.gene].name}`] = [low, high]; look(); },
      choose(g) { if (g >= 0 && g < map.genes.length) { map.gene = g; map.colours = null; view.tell({ gene: map.genes[g].name }); look(); map.emit("gene"); } },
      set(changes) { Object.assign(map, changes); look(); },
      nearest(x, y, within) { let best = -1, least = within * within; for (let i = 0; i < map.n; i += 1) { const d = (map.xy[2 * i] - x) ** 2 + (map.xy[2 * i + 1] - y) ** 2; if (d < least) { least = d; best = i; } } return best; },
      pick(i) { map.spot = i; layer.redraw(); map.emit("spot", i); if (i >= 0) view.trigger("spot", { index: i, of: map.n, x: map.xy[2 * i], y: map.xy[2 * i + 1], measured: map.layers.measured && map.layers.measured.filled[i] ? map.genes.map((_, g) => map.value("measured", g, i)) : null }); },
      inWindow(rect) { let count = 0; for (let i = 0; i < map.n; i += 1) if (map.xy[2 * i] >= rect.x && map.xy[2 * i] <= rect.x + rect.width && map.xy[2 * i + 1] >= rect.y && map.xy[2 * i + 1] <= rect.y + rect.height) count += 1; return count; },
    };
    const sheet = document.createElement("canvas"); let stale = true, cell = 1, origin = [0, 0], stop = null, soon = 0;
    const look = () => { stale = true; layer.redraw(); map.emit("look"); };

    /* -- one gene as shades, and as a sheet of small squares for the whole slide -- */
    const shades = () => {
      const [low, high] = map.limits(), made = new Uint8Array(map.n), span = high - low || 1, g = map.gene, name = map.layer;
      for (let i = 0; i < map.n; i += 1) { const v = map.value(name, g, i); made[i] = Number.isNaN(v) ? 255 : Math.min(SHADES - 1, Math.max(0, Math.round(((v - low) / span) * (SHADES - 1)))); }
      return made;
    };
    const palette = () => Array.from({ length: SHADES }, (_, k) => S.geneRamp(map.layer, k / (SHADES - 1)));
    const colourOf = (made, colours, i) => (map.colours ? [map.colours[3 * i], map.colours[3 * i + 1], map.colours[3 * i + 2]] : colours[made[i]]);
    const paintSheet = (made, colours) => {
      const w = sheet.width, pixels = new Uint8ClampedArray(w * sheet.height * 4), half = map.pitch / 2;
      for (let i = 0; i < map.n; i += 1) {
        if (made[i] === 255) continue;
        const c = colourOf(made, colours, i), x = Math.round((map.xy[2 * i] - half - origin[0]) / cell), y = Math.round((map.xy[2 * i + 1] - half - origin[1]) / cell);
        for (let a = 0; a < 2; a += 1) for (let b = 0; b < 2; b += 1) { const at = 4 * ((y + b) * w + x + a); if (x + a >= 0 && x + a < w && at >= 0) { pixels[at] = c[0]; pixels[at + 1] = c[1]; pixels[at + 2] = c[2]; pixels[at + 3] = 255; } }
      }
      sheet.getContext("2d").putImageData(new ImageData(pixels, w, sheet.height), 0, 0);
    };
    let made = null, colours = null;
    const draw = (ctx, v) => {
      if (!map.n) return;
      if (stale) { made = shades(); colours = palette(); paintSheet(made, colours); stale = false; }
      const r = (map.diameter / 2) * v.scale;
      if (map.shown && r < DISC_PX) { ctx.save(); ctx.globalAlpha = map.opacity; ctx.imageSmoothingEnabled = false; v.enter(ctx); ctx.drawImage(sheet, origin[0], origin[1], sheet.width * cell, sheet.height * cell); ctx.restore(); }
      else if (map.shown) discs(ctx, v, r);
      if (map.spot >= 0) { const [x, y] = v.toScreen(map.xy[2 * map.spot], map.xy[2 * map.spot + 1]); for (const [width, colour] of [[5, "rgba(0,0,0,.7)"], [2, "#fff"]]) { ctx.beginPath(); ctx.arc(x, y, Math.max(r, 5) + 2, 0, 7); ctx.lineWidth = width; ctx.strokeStyle = colour; ctx.stroke(); } }
    };
    const discs = (ctx, v, r) => {
      const byShade = new Map(), open = [], { rect } = v, pad = map.diameter;
      for (let i = 0; i < map.n; i += 1) {
        const x = map.xy[2 * i], y = map.xy[2 * i + 1]; if (x < rect.x - pad || y < rect.y - pad || x > rect.x + rect.width + pad || y > rect.y + rect.height + pad) continue;
        if (made[i] === 255) { open.push(i); continue; }
        const key = map.colours ? i + 1000 : made[i]; if (!byShade.has(key)) byShade.set(key, []); byShade.get(key).push(i);
      }
      ctx.globalAlpha = map.opacity;
      for (const some of byShade.values()) { const c = colourOf(made, colours, some[0]); ctx.fillStyle = `rgb(${c[0]},${c[1]},${c[2]})`; ctx.beginPath(); for (const i of some) { const [x, y] = v.toScreen(map.xy[2 * i], map.xy[2 * i + 1]); ctx.moveTo(x + r, y); ctx.arc(x, y, r, 0, 6.2832); } ctx.fill(); }
      if (r > 4) { ctx.globalAlpha = 0.55; ctx.strokeStyle = "rgba(0,0,0,.55)"; ctx.lineWidth = 0.8; ctx.beginPath(); for (const i of open) { const [x, y] = v.toScreen(map.xy[2 * i], map.xy[2 * i + 1]); ctx.moveTo(x + r, y); ctx.arc(x, y, r, 0, 6.2832); } ctx.stroke(); }
    };
    const legend = (ctx, { x, y, width }) => {
      if (!map.n || !map.shown) return 0;
      const [low, high] = map.limits(), w = Math.min(240, width); ctx.font = "600 13px system-ui, sans-serif"; ctx.fillText(map.colours ? "Main directions of the expression as colours" : `${map.genes[map.gene].name}: ${map.names[map.layer].toLowerCase()}, ${UNIT}`, x, y + 13);
      if (map.colours) return 18;
      for (let k = 0; k < w; k += 1) { const c = S.geneRamp(map.layer, k / (w - 1)); ctx.fillStyle = `rgb(${c[0]},${c[1]},${c[2]})`; ctx.fillRect(x + k, y + 20, 1.2, 12); }
      ctx.fillStyle = "#1b1e22"; ctx.font = "12px system-ui, sans-serif"; ctx.fillText(`≤ ${L.num(low)}`, x, y + 46); const t = `≥ ${L.num(high)}`; ctx.fillText(t, x + w - ctx.measureText(t).width, y + 46);
      return 50;
    };
    const layer = view.addLayer({ name: "expression", order: 40, draw, legend });

    /* -- following the job -- */
    const laid = (e) => {
      map.n = e.spots; map.scale = e.scale; map.genes = e.genes; map.diameter = e.diameter; map.fieldUm = e.field_um; map.network = e.network; map.note = e.note || ""; map.names = { ...LAYERS, ...(e.names || {}) }; map.xy = new Float32Array(bytes(e.xy)); map.layers = {}; map.colours = null; map.spot = -1;
      for (const name of e.layers) map.layers[name] = { data: new Int16Array(map.n * map.genes.length).fill(GONE), filled: new Uint8Array(map.n), count: 0 };
      map.pitch = pitchOf(map.xy, map.n); cell = map.pitch / 2; origin = [0, 0]; sheet.width = Math.max(1, Math.ceil(view.size.width / cell) + 2); sheet.height = Math.max(1, Math.ceil(view.size.height / cell) + 2);
      map.sharedLimits = [Math.min(...map.genes.map((g) => g.limits[0])), Math.max(...map.genes.map((g) => g.limits[1]))];
      const asked = view.extra.gene, at = map.genes.findIndex((g) => g.name === asked); map.gene = at >= 0 ? at : Math.min(map.gene, map.genes.length - 1); if (!map.has(map.layer)) map.layer = "predicted";
      stale = true; map.emit("layout");
    };
    const spots = (e) => {
      const one = map.layers[e.layer]; if (!one) return;
      const index = new Uint32Array(bytes(e.index)), values = new Int16Array(bytes(e.values)), G = map.genes.length;
      index.forEach((i, k) => { for (let g = 0; g < G; g += 1) one.data[g * map.n + i] = values[k * G + g]; if (!one.filled[i]) { one.filled[i] = 1; one.count += 1; } });
    };
    const onEvents = (list) => {
      let drawn = false;
      for (const e of list) {
        if (e.kind === "layout") { laid(e); drawn = true; } else if (e.kind === "spots") { spots(e); drawn = true; } else if (e.kind === "progress") map.emit("progress", e); else if (e.kind === "result") map.emit("result", e);
      }
      if (drawn) { look(); if (!soon) soon = setTimeout(() => { soon = 0; map.emit("spots"); }, 250); }
    };
    const follow = () => {
      const job = (view.props.map || {}).job || ""; if (job === map.job) return;
      if (stop) stop(); stop = null; map.job = job; map.n = 0; map.layers = {}; map.emit("clear"); layer.redraw();
      if (job) stop = L.follow(job, { onEvents: (list) => { if (map.job === job) onEvents(list); }, onState: (state) => { if (map.job === job) map.emit("state", state); }, every: 150 });
    };
    view.watch("map", follow); view.on("close", () => { if (stop) stop(); stop = null; map.job = ""; map.n = 0; map.emit("clear"); layer.redraw(); });
    view.on("open", follow);
    view.on("click", ({ x, y }) => { if (map.n) { const i = map.nearest(x, y, Math.max(map.pitch, 12 / ((view.v() || {}).scale || 1))); if (i >= 0) map.pick(i); else view.say("There is no spot at this place; spots lie on tissue only."); } });
    view.on("extra", ({ gene }) => { const at = map.genes.findIndex((g) => g.name === gene); if (at >= 0) map.choose(at); });
    return map;
  };
})();
