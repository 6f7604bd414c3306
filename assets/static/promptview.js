/* Draws the prompt canvas: picture, heat, fills, outlines, clicks, boxes, brush, keyboard cursor. Planes: s_ screen pixels inside the canvas
   (CSS), i_ pixels of the picture; i = 0 is the left edge of pixel 0 here, so its centre lies at 0.5. */
(() => {
  "use strict";
  const L = window.Lightbox, MAX_ZOOM = 12;
  /* Fills must be told apart on grey scans in light and dark pages alike, so they do not follow the page's colours. */
  const FILLS = [[86, 180, 233], [230, 159, 0], [0, 158, 115], [240, 228, 66], [204, 121, 167], [213, 94, 0], [150, 120, 255], [120, 220, 220]];
  const HEAT = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]]; // inferno, sampled
  const css = ([r, g, b], a = 1) => `rgba(${r},${g},${b},${a})`;
  L.fillOf = (id) => FILLS[(id - 1) % FILLS.length];
  L.heatColour = (t) => { const u = Math.min(0.9999, Math.max(0, t)) * (HEAT.length - 1), i = Math.floor(u), f = u - i; return HEAT[i].map((c, j) => Math.round(c + (HEAT[i + 1][j] - c) * f)); };

  /* A small canvas with one pixel for each cell of a map {rows, columns, values 0…1}; opaque where the map is high. */
  L.heatLayer = ({ rows, columns, values }) => {
    const layer = L.el("canvas", { width: columns, height: rows }), g = layer.getContext("2d"), image = g.createImageData(columns, rows);
    values.forEach((v, i) => image.data.set([...L.heatColour(v), Math.round(255 * Math.min(1, 0.15 + v))], 4 * i));
    g.putImageData(image, 0, 0);
    return layer;
  };

  L.promptView = (canvas) => {
    const view = { w: 0, h: 0, image: null, heat: null, zoom: 1, x: 0, y: 0, opacity: 0.35, heatOpacity: 0.6 };
    let fills = null, filled = null, layer = null;

    const cssWidth = () => canvas.clientWidth, cssHeight = () => canvas.clientHeight;
    const scale = () => Math.min(cssWidth() / view.w, cssHeight() / view.h) * view.zoom;
    const left = () => cssWidth() / 2 - (view.w / 2 + view.x) * scale(), top = () => cssHeight() / 2 - (view.h / 2 + view.y) * scale();
    const hold = () => { // the picture fills the view: it cannot be pushed out of sight
      const s = scale(), spareX = Math.max(0, (view.w * s - cssWidth()) / 2 / s), spareY = Math.max(0, (view.h * s - cssHeight()) / 2 / s);
      view.x = Math.min(spareX, Math.max(-spareX, view.x)); view.y = Math.min(spareY, Math.max(-spareY, view.y));
    };
    view.toPicture = (sx, sy) => [(sx - left()) / scale(), (sy - top()) / scale()];
    view.pixel = (sx, sy) => { const [x, y] = view.toPicture(sx, sy); return [Math.min(view.w - 1, Math.max(0, Math.floor(x))), Math.min(view.h - 1, Math.max(0, Math.floor(y)))]; };
    view.onPicture = (sx, sy) => { const [x, y] = view.toPicture(sx, sy); return x >= 0 && y >= 0 && x < view.w && y < view.h; };
    view.toScreen = (x, y) => [left() + x * scale(), top() + y * scale()];
    view.scale = scale;
    view.fit = () => { view.zoom = 1; view.x = 0; view.y = 0; };
    view.zoomBy = (factor, sx = cssWidth() / 2, sy = cssHeight() / 2) => {
      const [x, y] = view.toPicture(sx, sy);
      view.zoom = Math.min(MAX_ZOOM, Math.max(1, view.zoom * factor));
      const [nx, ny] = view.toPicture(sx, sy);
      view.x += x - nx; view.y += y - ny; hold();
    };
    view.panBy = (dx, dy) => { view.x -= dx / scale(); view.y -= dy / scale(); hold(); };
    view.size = (most) => { if (view.w) canvas.style.height = `${Math.round(Math.min(most, (cssWidth() * view.h) / view.w))}px`; };

    /* One layer for all fills, largest segment first, so that a small one on a large one stays in sight. */
    const fillLayer = (segments) => {
      if (filled === segments && fills && fills.width === view.w && fills.height === view.h) return fills;
      if (!fills || fills.width !== view.w || fills.height !== view.h) fills = L.el("canvas", { width: view.w, height: view.h });
      const g = fills.getContext("2d"), image = g.createImageData(view.w, view.h), pixels = new Uint32Array(image.data.buffer);
      const shown = segments.filter((s) => s.on && s.runs).sort((a, b) => L.masks.area(b.runs) - L.masks.area(a.runs));
      for (const s of shown) { const [r, gr, b] = L.fillOf(s.id); L.masks.paint(s.runs, pixels, ((255 << 24) | (b << 16) | (gr << 8) | r) >>> 0); }
      g.putImageData(image, 0, 0); filled = segments;
      return fills;
    };
    view.bitsLayer = (bits, id) => { // the mask under the brush, before the stroke has ended
      if (!layer || layer.width !== view.w || layer.height !== view.h) layer = L.el("canvas", { width: view.w, height: view.h });
      const g = layer.getContext("2d"), image = g.createImageData(view.w, view.h), pixels = new Uint32Array(image.data.buffer), [r, gr, b] = L.fillOf(id), colour = ((255 << 24) | (b << 16) | (gr << 8) | r) >>> 0;
      for (let i = 0; i < bits.length; i += 1) if (bits[i]) pixels[i] = colour;
      g.putImageData(image, 0, 0);
      return layer;
    };

    const strokeTwice = (g, draw, colour, width) => { // dark under bright: seen on black lung and on white bone
      g.strokeStyle = "rgba(0,0,0,.75)"; g.lineWidth = width + 2; draw(); g.strokeStyle = colour; g.lineWidth = width; draw();
    };
    const outline = (g, s, extra) => {
      const path = L.masks.outline(s.runs, view.w, view.h), k = scale();
      g.save(); g.translate(left(), top()); g.scale(k, k); g.setLineDash(s.on ? [] : [5 / k, 4 / k]); g.lineCap = "square";
      const width = (extra.hover === s.id ? 3 : s.id === extra.active ? 2.5 : 1.5) / k;
      g.strokeStyle = "rgba(0,0,0,.6)"; g.lineWidth = width + 1.5 / k; g.stroke(path);
      g.strokeStyle = s.on ? css(L.fillOf(s.id)) : "rgba(210,210,210,.9)"; g.lineWidth = width; g.stroke(path); g.restore();
    };
    const mark = (g, [x, y, label], small) => { // + green disc, − red square: told apart by shape as well as by colour
      const [sx, sy] = view.toScreen(x + 0.5, y + 0.5), r = small ? 5 : 8;
      g.beginPath(); label ? g.arc(sx, sy, r, 0, 7) : g.rect(sx - r, sy - r, 2 * r, 2 * r);
      g.fillStyle = label ? "#0b7a4b" : "#b3261e"; g.fill(); g.lineWidth = 2; g.strokeStyle = "#fff"; g.stroke();
      if (small) return;
      g.beginPath(); g.moveTo(sx - 4, sy); g.lineTo(sx + 4, sy); if (label) { g.moveTo(sx, sy - 4); g.lineTo(sx, sy + 4); } g.stroke();
    };
    const box = (g, [x0, y0, x1, y1], colour, dashed) => {
      const [ax, ay] = view.toScreen(x0, y0), [bx, by] = view.toScreen(x1 + 1, y1 + 1);
      g.setLineDash(dashed ? [6, 4] : []); strokeTwice(g, () => g.strokeRect(ax, ay, bx - ax, by - ay), colour, 2); g.setLineDash([]);
    };
    const cross = (g, [x, y]) => {
      const [sx, sy] = view.toScreen(x + 0.5, y + 0.5);
      strokeTwice(g, () => { g.beginPath(); g.moveTo(sx - 14, sy); g.lineTo(sx - 4, sy); g.moveTo(sx + 4, sy); g.lineTo(sx + 14, sy); g.moveTo(sx, sy - 14); g.lineTo(sx, sy - 4); g.moveTo(sx, sy + 4); g.lineTo(sx, sy + 14); g.stroke(); }, "#fff", 2);
    };

    /* extra: {active, hover, drag: box | null, bits: {bits, id, others} | null (a mask under the brush, and the other segments), ring: [sx, sy, radius in picture pixels] | null, cursor: [x, y] | null} */
    view.draw = (segments, extra) => {
      if (!cssWidth() || !view.w) return;
      const dpr = window.devicePixelRatio || 1;
      canvas.width = Math.round(cssWidth() * dpr); canvas.height = Math.round(cssHeight() * dpr);
      const g = canvas.getContext("2d"), k = scale(), frame = [left(), top(), view.w * k, view.h * k];
      g.setTransform(dpr, 0, 0, dpr, 0, 0); g.fillStyle = L.css("--background-fill-secondary"); g.fillRect(0, 0, cssWidth(), cssHeight());
      g.imageSmoothingEnabled = k < 3;
      if (view.image && view.image.complete && view.image.naturalWidth) g.drawImage(view.image, ...frame);
      if (view.heat) {
        const [t, l, b, r] = view.heat.box;
        g.save(); g.beginPath(); g.rect(...frame); g.clip(); g.globalAlpha = view.heatOpacity; g.imageSmoothingEnabled = true;
        g.drawImage(view.heat.layer, ...view.toScreen(l, t), (r - l) * k, (b - t) * k); g.restore();
      }
      g.save(); g.globalAlpha = view.opacity; g.imageSmoothingEnabled = false;
      g.drawImage(fillLayer(extra.bits ? extra.bits.others : segments), ...frame);
      if (extra.bits) g.drawImage(view.bitsLayer(extra.bits.bits, extra.bits.id), ...frame);
      g.restore();
      for (const s of segments) if (s.runs && !(extra.bits && extra.bits.id === s.id)) outline(g, s, extra);
      for (const s of segments) if (s.id === extra.active || extra.hover === s.id) { if (s.box) box(g, s.box, "#ffd24d", false); s.points.forEach((p) => mark(g, p, s.id !== extra.active)); }
      if (extra.drag) box(g, extra.drag, "#ffd24d", true);
      if (extra.ring) strokeTwice(g, () => { g.beginPath(); g.arc(extra.ring[0], extra.ring[1], Math.max(2, extra.ring[2] * k), 0, 7); g.stroke(); }, "#fff", 1.5);
      if (extra.cursor) cross(g, extra.cursor);
    };
    return view;
  };
})();
