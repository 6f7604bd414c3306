/* Masks in the browser, as run lengths in reading order: outside, inside, outside … ; they fill w·h pixels. Shared by every drawing with masks. */
(() => {
  "use strict";
  const L = window.Lightbox, outlines = new WeakMap();

  const masks = (L.masks = {
    /* run lengths -> Uint8Array of w·h zeros and ones */
    decode(runs, w, h) {
      const bits = new Uint8Array(w * h);
      let at = 0;
      runs.forEach((length, i) => { if (i % 2) bits.fill(1, at, at + length); at += length; });
      return bits;
    },
    encode(bits) {
      const runs = [];
      let inside = 0, start = 0;
      for (let i = 0; i < bits.length; i += 1) if (bits[i] !== inside) { runs.push(i - start); start = i; inside = bits[i]; }
      runs.push(bits.length - start);
      return runs;
    },
    area: (runs) => { let sum = 0; for (let i = 1; i < runs.length; i += 2) sum += runs[i]; return sum; },
    /* whether the pixel of that number lies inside */
    has(runs, index) {
      let end = 0;
      for (let i = 0; i < runs.length; i += 1) { end += runs[i]; if (index < end) return i % 2 === 1; }
      return false;
    },
    /* write one colour (a Uint32 as canvases keep it) wherever the mask is */
    paint(runs, pixels, colour) {
      let at = 0;
      for (let i = 0; i < runs.length; i += 1) { if (i % 2) pixels.fill(colour, at, at + runs[i]); at += runs[i]; }
    },
    /* the border between inside and outside along the pixels' edges, in picture pixels; made once per mask */
    outline(runs, w, h) {
      const known = outlines.get(runs);
      if (known) return known;
      const bits = masks.decode(runs, w, h), path = new Path2D(), at = (x, y) => (x < 0 || y < 0 || x >= w || y >= h ? 0 : bits[y * w + x]);
      const lines = (outer, inner, differs, line) => {
        for (let a = 0; a <= outer; a += 1) for (let b = 0; b < inner; b += 1) {
          if (!differs(a, b)) continue;
          const from = b;
          while (b < inner && differs(a, b)) b += 1;
          line(a, from, b);
        }
      };
      lines(h, w, (y, x) => at(x, y - 1) !== at(x, y), (y, from, to) => { path.moveTo(from, y); path.lineTo(to, y); });
      lines(w, h, (x, y) => at(x - 1, y) !== at(x, y), (x, from, to) => { path.moveTo(x, from); path.lineTo(x, to); });
      outlines.set(runs, path);
      return path;
    },
    /* set a thick line of pixels from (x0, y0) to (x1, y1) to 0 or 1 */
    stroke(bits, w, h, [x0, y0], [x1, y1], radius, value) {
      const steps = Math.max(1, Math.ceil(Math.hypot(x1 - x0, y1 - y0) / Math.max(1, radius / 2))), reach = radius * radius;
      for (let k = 0; k <= steps; k += 1) {
        const cx = x0 + ((x1 - x0) * k) / steps, cy = y0 + ((y1 - y0) * k) / steps;
        for (let y = Math.max(0, Math.ceil(cy - radius)); y <= Math.min(h - 1, cy + radius); y += 1) {
          const half = Math.sqrt(reach - (y - cy) ** 2), from = Math.max(0, Math.ceil(cx - half)), to = Math.min(w - 1, Math.floor(cx + half));
          if (from <= to) bits.fill(value, y * w + from, y * w + to + 1);
        }
      }
    },
  });
})();
