/* Canvases above the tiles, one a layer, drawn in step with OpenSeadragon's own frames; what a layer gets to draw with is told in slideview.js. */
(() => {
  "use strict";
  const L = window.Lightbox, S = (L.slide = L.slide || {});

  /* The way between level-0 pixels and the screen, as it is in this frame. null while no slide is open or the viewer is out of sight. */
  const geometry = (view) => {
    const item = view.viewer && view.viewer.world.getItemAt(0), stage = view.stage;
    if (!item || !stage.clientWidth || !stage.clientHeight) return null;
    const { width: W, height: H } = view.size, P = (x, y) => item.imageToViewerElementCoordinates(new window.OpenSeadragon.Point(x, y));
    const o = P(0, 0), right = P(W, 0), down = P(0, H);
    const a = (right.x - o.x) / W, b = (right.y - o.y) / W, c = (down.x - o.x) / H, d = (down.y - o.y) / H, det = a * d - b * c;
    if (!det) return null;
    const toScreen = (x, y) => [a * x + c * y + o.x, b * x + d * y + o.y];
    const toSlide = (px, py) => [(d * (px - o.x) - c * (py - o.y)) / det, (a * (py - o.y) - b * (px - o.x)) / det];
    const { x: width, y: height } = view.viewer.viewport.getContainerSize(); // as OpenSeadragon takes it to be, which follows the page a frame later
    const corners = [toSlide(0, 0), toSlide(width, 0), toSlide(width, height), toSlide(0, height)], xs = corners.map((p) => p[0]), ys = corners.map((p) => p[1]);
    const x = Math.max(0, Math.min(...xs)), y = Math.max(0, Math.min(...ys));
    const rect = { x, y, width: Math.max(0, Math.min(W, Math.max(...xs)) - x), height: Math.max(0, Math.min(H, Math.max(...ys)) - y) };
    return { toScreen, toSlide, scale: Math.hypot(a, b), rect, width, height, dpr: window.devicePixelRatio || 1, rotation: view.viewer.viewport.getRotation(true), dark: L.isDark(), enter: (ctx) => ctx.transform(a, b, c, d, o.x, o.y) };
  };

  S.layers = (view, host) => {
    const layers = [];
    let frame = 0;
    const draw = (layer, v) => {
      const { canvas } = layer, w = Math.round(v.width * v.dpr), h = Math.round(v.height * v.dpr);
      if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
      const ctx = canvas.getContext("2d");
      ctx.setTransform(1, 0, 0, 1, 0, 0); ctx.clearRect(0, 0, w, h);
      if (layer.shown) { ctx.setTransform(v.dpr, 0, 0, v.dpr, 0, 0); S.guarded(layer, ctx, v); }
      layer.dirty = false;
    };
    const all = () => { // called within OpenSeadragon's frame, so that layers never trail the tiles
      cancelAnimationFrame(frame); frame = 0;
      const v = geometry(view);
      for (const layer of layers) v ? draw(layer, v) : layer.canvas.getContext("2d").clearRect(0, 0, layer.canvas.width, layer.canvas.height);
    };
    const some = () => { frame = 0; const v = geometry(view); if (v) for (const layer of layers) if (layer.dirty) draw(layer, v); };
    const soon = () => { if (!frame) frame = requestAnimationFrame(some); };
    const add = ({ name, draw: drawing, order = 0, legend = null }) => {
      const canvas = L.el("canvas", { class: "lb-slide-layer", "aria-hidden": "true", "data-layer": name });
      const layer = {
        name, order, canvas, legend, drawing, shown: true, dirty: true,
        redraw: () => { layer.dirty = true; soon(); },
        show: (on) => { if (layer.shown !== on) { layer.shown = on; layer.redraw(); } },
        remove: () => { layers.splice(layers.indexOf(layer), 1); canvas.remove(); },
      };
      layers.push(layer); layers.sort((p, q) => p.order - q.order); host.replaceChildren(...layers.map((one) => one.canvas)); layer.redraw();
      return layer;
    };
    return { list: layers, host, add, all, redraw: () => { for (const layer of layers) layer.dirty = true; soon(); }, geometry: () => geometry(view) };
  };

  /* A layer that fails must not take the slide with it. */
  S.guarded = (layer, ctx, v) => {
    ctx.save();
    try { layer.drawing(ctx, v); } catch (error) { if (!layer.failed) { layer.failed = true; console.error(`Layer ${layer.name}:`, error); } }
    ctx.restore();
  };
})();
