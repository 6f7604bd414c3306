/* The 2-D landscape: shaded height map, one path per method, a play head, and at the play head SOFIM's metric ellipse beside the true one.
   props.scene = {title, bounds:[x0,x1,y0,y1], image, start:[x,y], minimum, paths:[{id,label,colour,x[],y[],f[],norm[],eta_eff[],length[],metric[],}], hessian:[…], about, seq}. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el;

  L.landscape = (element, props, watch, trigger) => {
    const canvas = el("canvas", { class: "lb-canvas lb-map", role: "img", tabindex: "0", "aria-label": "Map of the hill, being worked out" }), head = el("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Step shown" });
    const play = el("button", { type: "button", class: "lb-small" }, "▶ Play"), count = el("output", {}), legend = el("div", { class: "lb-legend" }), text = el("p", { class: "lb-hint", "aria-live": "polite" });
    const right = el("div", {}), lower = el("div", { class: "lb-grid2" }, el("div", {}, canvas), right);
    element.replaceChildren(el("div", { class: "lb-landscape" }, legend, lower, el("div", { class: "lb-tools" }, play, head, count), text));
    const height = new L.Plot(right, { title: "Height f(x, y) along the way", yLog: true, yLabel: "f − lowest", xLabel: "steps", height: 200 });
    const len = new L.Plot(right, { title: "SOFIM’s step length against ‖M̂‖", xLog: true, yLog: true, xLabel: "momentum norm ‖M̂‖", yLabel: "step length", height: 200 });
    let timer = null, k = 0, image = null, hidden = new Set();

    const scene = () => (props.scene && props.scene.paths ? props.scene : null);
    const map = () => { const [x0, x1, y0, y1] = scene().bounds, w = canvas.clientWidth, h = canvas.clientHeight; return { w, h, X: (x) => ((x - x0) / (x1 - x0)) * w, Y: (y) => h - ((y - y0) / (y1 - y0)) * h, inv: (px, py) => [x0 + (px / w) * (x1 - x0), y0 + ((h - py) / h) * (y1 - y0)], sx: w / (x1 - x0), sy: h / (y1 - y0) }; };

    /* Axes of an ellipse {a, b, angle} (a along angle) in data units, drawn at (x, y) and scaled so that the larger of both is legible. */
    const ellipse = (g, m, x, y, e, scale, colour, dash) => {
      g.save(); g.translate(m.X(x), m.Y(y)); g.scale(1, -1); g.rotate(e.angle); g.setLineDash(dash); g.strokeStyle = colour; g.lineWidth = 2.5;
      g.beginPath(); g.ellipse(0, 0, Math.max(2, e.a * scale), Math.max(2, e.b * scale), 0, 0, 7); g.stroke(); g.restore();
    };
    const draw = () => {
      const s = scene(); if (!s || !canvas.clientWidth) return;
      const dpr = window.devicePixelRatio || 1, w = canvas.clientWidth, h = w; canvas.style.height = `${h}px`;
      canvas.width = Math.round(w * dpr); canvas.height = Math.round(h * dpr);
      const g = canvas.getContext("2d"); g.setTransform(dpr, 0, 0, dpr, 0, 0);
      const m = map(); g.fillStyle = L.css("--background-fill-secondary"); g.fillRect(0, 0, w, h);
      if (image && image.complete) { g.globalAlpha = L.isDark() ? 0.55 : 0.9; g.drawImage(image, 0, 0, w, h); g.globalAlpha = 1; }
      for (const p of s.paths) {
        if (hidden.has(p.id)) continue;
        const n = Math.min(k, p.x.length - 1); g.strokeStyle = L.colour(p.colour); g.lineWidth = 2.2; g.setLineDash(L.dash(p.colour)); g.beginPath();
        for (let i = 0; i <= n; i += 1) { const px = m.X(p.x[i]), py = m.Y(p.y[i]); i ? g.lineTo(px, py) : g.moveTo(px, py); } g.stroke(); g.setLineDash([]);
        g.fillStyle = L.colour(p.colour); g.strokeStyle = L.css("--background-fill-primary"); g.lineWidth = 2; g.beginPath(); g.arc(m.X(p.x[n]), m.Y(p.y[n]), 5.5, 0, 7); g.fill(); g.stroke();
        if (p.diverged !== null && n === p.x.length - 1) { g.font = "bold 15px sans-serif"; g.fillText("×", Math.min(w - 14, Math.max(4, m.X(p.x[n]))), Math.min(h - 6, Math.max(14, m.Y(p.y[n])))); }
      }
      const [sx, sy] = s.start; g.strokeStyle = L.css("--body-text-color"); g.lineWidth = 2; g.beginPath(); g.moveTo(m.X(sx) - 7, m.Y(sy)); g.lineTo(m.X(sx) + 7, m.Y(sy)); g.moveTo(m.X(sx), m.Y(sy) - 7); g.lineTo(m.X(sx), m.Y(sy) + 7); g.stroke();
      const own = s.paths.find((p) => p.metric && p.metric.length && !hidden.has(p.id));
      if (own) {
        const i = Math.min(k, own.metric.length - 1), e = own.metric[i], t = own.hessian[i], size = Math.min(w, h) * 0.16;
        if (e) ellipse(g, m, own.x[i], own.y[i], e, size / Math.max(e.a, e.b), L.colour(own.colour), []);
        if (t) ellipse(g, m, own.x[i], own.y[i], t, size / Math.max(t.a, t.b), L.css("--body-text-color"), [4, 4]);
      }
      lengths(own); words(own);
      canvas.setAttribute("aria-label", `${s.title}. ` + s.paths.map((p) => `${p.label} ends at height ${L.num(p.f[p.f.length - 1])}`).join("; "));
    };
    const lengths = (own) => {
      right.lastChild.hidden = !own; if (!own) return;
      len.clear(); len.marks = []; const i = Math.min(k, own.norm.length - 1), lr = own.lr, rho = own.rho, all = own.norm.filter((v) => v > 0);
      const lo = Math.log10(Math.min(Math.sqrt(rho), ...all) / 3), hi = Math.log10(Math.max(Math.sqrt(rho), ...all) * 3), xs = [], ys = [];
      for (let j = 0; j <= 120; j += 1) { const v = 10 ** (lo + ((hi - lo) * j) / 120); xs.push(v); ys.push((lr * v) / (rho + v * v)); }
      len.line(own.id, { label: own.label, colour: own.colour }); len.append(own.id, xs, ys); len.marks.push({ x: Math.sqrt(rho), label: "√ρ" });
      len.opts.after = (g, X, Y) => { const v = own.norm[i]; if (!(v > 0)) return; g.fillStyle = L.colour(own.colour); g.beginPath(); g.arc(X(v), Y((lr * v) / (rho + v * v)), 6, 0, 7); g.fill(); };
    };
    const words = (own) => {
      const s = scene(), last = Math.max(...s.paths.map((p) => p.x.length - 1)); count.textContent = `step ${k} of ${last}`;
      if (!own) { text.textContent = s.about; return; }
      const i = Math.min(k, own.norm.length - 1), v = own.norm[i];
      text.textContent = `${s.about} Solid ellipse: the step SOFIM’s matrix would take for a unit push in each direction, 1/(ρ+‖M̂‖²) along the momentum and 1/ρ across; dashed: what the true curvature would ask for. ‖M̂‖ = ${L.num(v)}, effective rate ${L.num(own.eta_eff[i])}, step ${L.num(own.length[i])}. Both ellipses are drawn to the same size; only their shape and direction compare. Click the map (or use the arrow keys) to move the start.`;
    };
    const lines = () => {
      height.clear();
      for (const p of scene().paths) { height.line(p.id, { label: p.label, colour: p.colour, hidden: hidden.has(p.id) }); height.append(p.id, p.f.map((_, i) => i), p.f.map((f) => (f === null ? null : Math.max(f - scene().lowest, 1e-12)))); }
    };
    const halt = () => { clearInterval(timer); timer = null; play.textContent = "▶ Play"; };
    const seek = (v) => { k = v; head.value = v; draw(); };
    const load = () => {
      const s = scene(); if (!s) return; halt();
      const last = Math.max(...s.paths.map((p) => p.x.length - 1)); head.max = last;
      image = new Image(); image.onload = draw; image.src = s.image;
      legend.replaceChildren(...s.paths.map((p) => { const dot = el("i", { class: "lb-dot" }); dot.style.background = L.colour(p.colour); const b = el("button", { type: "button", "aria-pressed": String(!hidden.has(p.id)) }, dot, ` ${p.label}`); b.onclick = () => { hidden.has(p.id) ? hidden.delete(p.id) : hidden.add(p.id); load(); }; return b; }));
      lines(); seek(last); element.dataset.seq = s.seq;
    };
    play.onclick = () => { if (timer) { halt(); return; } if (k >= +head.max) seek(0); play.textContent = "❚❚ Pause"; timer = setInterval(() => { k >= +head.max ? halt() : seek(Math.min(+head.max, k + Math.max(1, Math.round(+head.max / 120)))); }, 40); };
    head.oninput = () => { halt(); seek(+head.value); };
    const move = (x, y) => { if (!scene()) return; const [x0, x1, y0, y1] = scene().bounds, at = [Math.min(x1, Math.max(x0, x)), Math.min(y1, Math.max(y0, y))]; props.value = { start: at }; trigger("moved"); };
    canvas.onclick = (e) => move(...map().inv(e.offsetX, e.offsetY));
    canvas.onkeydown = (e) => { const d = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key]; if (!d) return; e.preventDefault(); const [x0, x1, y0, y1] = scene().bounds, [sx, sy] = (props.value && props.value.start) || scene().start; move(sx + (d[0] * (x1 - x0)) / 40, sy + (d[1] * (y1 - y0)) / 40); };
    new ResizeObserver(draw).observe(canvas); L.onTheme(() => scene() && load());
    watch("scene", load);
    text.textContent = "Working it out …";
    scene() ? load() : trigger("moved");  // the first look is computed only when somebody opens this drawer
  };
})();
