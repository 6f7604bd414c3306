/* One pixel of a picture and the map that belongs to it. props: label, picture {id, url, width, height, alt}, answer {picture, seq, rows, columns,
   bytes: base64 of 0…255, top, pixel, cells, note}. value {picture, x, y, seq}. Fires opened, chosen; see workbench/parts/pixel_probe.py. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el, SVG = "http://www.w3.org/2000/svg", MOST_UNDO = 100;
  const KEYS = "Click or tap a pixel. By keyboard, once the picture has the focus: arrows move the cross (with Shift in large steps), Z goes back to the place before.";
  const draw = (tag, attributes) => { const e = document.createElementNS(SVG, tag); for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v); return e; };

  L.pixelProbe = (element, props, watch, trigger) => {
    const image = el("img", { alt: "", draggable: "false" }), map = el("canvas", { "aria-hidden": "true" }), lines = draw("svg", { "aria-hidden": "true", preserveAspectRatio: "none" });
    const stage = el("div", { class: "lb-probe-stage", tabindex: "0", role: "application", "aria-label": props.label }, image, map, lines);
    const say = el("p", { class: "lb-hint", role: "status" }), strength = el("input", { type: "range", min: 0, max: 100, value: 75, "aria-label": "Strength of the map" });
    const undo = el("button", { type: "button", class: "lb-small", title: "Go back to the place before (Z)" }, "Back"), scale = el("canvas", { width: 64, height: 1, "aria-hidden": "true" }), most = el("span", {}, "");
    const empty = el("p", { class: "lb-hint" }, "No picture yet."), frame = el("div", { hidden: true }, stage, el("div", { class: "lb-tools" }, undo, el("span", {}, "0"), scale, most, el("label", {}, "Map ", strength)), say, el("details", { class: "lb-notes" }, el("summary", {}, "How to point"), el("p", { class: "lb-hint" }, KEYS)));
    element.replaceChildren(el("div", { class: "lb-probe" }, empty, frame));
    const g = scale.getContext("2d"); for (let x = 0; x < 64; x += 1) { g.fillStyle = `rgb(${L.ramp(x / 63)})`; g.fillRect(x, 0, 1, 1); }
    let at = null, seq = 0, past = [];
    const shown = () => props.picture || {};
    const mark = (pixel) => {
      const p = shown(), a = props.answer || {}, s = Math.max(p.width, p.height) / 100; lines.setAttribute("viewBox", `0 0 ${p.width} ${p.height}`); lines.replaceChildren();
      if (a.cells && a.picture === p.id) for (let k = 1; k < a.cells; k += 1) lines.append(draw("path", { d: `M${(k * p.width) / a.cells} 0V${p.height}M0 ${(k * p.height) / a.cells}H${p.width}`, stroke: "#fff", "stroke-opacity": 0.4, "stroke-width": s / 4, fill: "none" }));
      if (pixel && a.rows) lines.append(draw("rect", { x: (pixel[1] * p.width) / a.columns, y: (pixel[0] * p.height) / a.rows, width: p.width / a.columns, height: p.height / a.rows, fill: "none", stroke: "#ffd400", "stroke-width": s / 1.6 }));
      if (!at) return;
      const d = `M${at[0] + 0.5 - 4 * s} ${at[1] + 0.5}h${8 * s}M${at[0] + 0.5} ${at[1] + 0.5 - 4 * s}v${8 * s}`;
      lines.append(draw("path", { d, stroke: "#000", "stroke-width": 1.6 * s, fill: "none" }), draw("path", { d, stroke: "#ffd400", "stroke-width": 0.7 * s, fill: "none" }));
    };
    const go = (x, y, quiet) => {
      const p = shown(); if (!p.url) return;
      const to = [Math.min(p.width - 1, Math.max(0, Math.floor(x))), Math.min(p.height - 1, Math.max(0, Math.floor(y)))];
      if (at && !quiet) { past.push(at); if (past.length > MOST_UNDO) past.shift(); }
      at = to; seq += 1; undo.disabled = !past.length; mark(null);
      stage.dataset.place = at.join(","); props.value = { picture: p.id, x: at[0], y: at[1], seq }; trigger("chosen");
    };
    const back = () => { if (!past.length) { say.textContent = "There is no place before this one."; return; } go(...past.pop(), true); };
    undo.onclick = back;
    stage.onclick = (e) => { const b = stage.getBoundingClientRect(), p = shown(); go(((e.clientX - b.left) / b.width) * p.width, ((e.clientY - b.top) / b.height) * p.height); };
    const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    stage.onkeydown = (e) => {
      const p = shown(), a = props.answer || {};
      if (/^z$/i.test(e.key)) { e.preventDefault(); back(); return; }
      if (!STEPS[e.key] || !p.url || e.altKey || e.ctrlKey || e.metaKey) return;
      e.preventDefault(); const step = (side, n) => (side / (n || 16)) * (e.shiftKey ? 4 : 1), [dx, dy] = STEPS[e.key], from = at || [p.width >> 1, p.height >> 1];
      go(from[0] + dx * step(p.width, a.columns), from[1] + dy * step(p.height, a.rows));
    };
    const picture = () => {
      const p = shown(); frame.hidden = !p.url; empty.hidden = !!p.url; if (!p.url || stage.dataset.picture === p.id) return;
      image.src = p.url; image.alt = p.alt || ""; stage.style.aspectRatio = `${p.width} / ${p.height}`; stage.dataset.picture = p.id; map.width = map.height = 1; past = []; at = null; go(p.width / 2, p.height / 2, true);
    };
    const answer = () => {
      const a = props.answer || {}; if (a.note === undefined || (a.picture && (a.picture !== shown().id || a.seq < seq))) return;
      say.textContent = a.note; most.textContent = a.top === undefined ? "" : L.num(a.top); stage.dataset.answered = a.seq; stage.dataset.top = a.top ?? "";
      if (!a.rows) { map.width = map.height = 1; mark(null); return; }
      map.width = a.columns; map.height = a.rows; const c = map.getContext("2d"), pixels = c.createImageData(a.columns, a.rows);
      Array.from(atob(a.bytes), (x) => x.charCodeAt(0) / 255).forEach((t, i) => pixels.data.set([...L.ramp(t), Math.round(255 * t ** 0.5)], 4 * i)); c.putImageData(pixels, 0, 0); mark(a.pixel);
    };
    strength.oninput = () => { map.style.opacity = strength.value / 100; }; strength.oninput(); undo.disabled = true;
    watch("picture", picture); watch("answer", answer); picture(); answer(); trigger("opened");
  };
})();
