/* The tools on the slide: hand, rectangle, polygon, edit; by mouse, touch and keyboard. Works on OpenSeadragon's own gestures, so that pinch and wheel go on zooming while one draws. */
(() => {
  "use strict";
  const L = window.Lightbox, S = (L.slide = L.slide || {}), el = L.el;
  const HANDLES = 400, CLOSE = 9, TOUCH = 18, STILL = 6;
  const HINTS = {
    hand: "", rectangle: "Drag a rectangle. By keyboard: move the slide until the cross is at a corner, press Enter, go on to the opposite corner, Enter again. Escape gives up.",
    polygon: "Click corner after corner; the first corner, a double-click or Enter closes the shape. Dragging still moves the slide. By keyboard, Enter sets a corner at the cross, Shift + Enter closes.",
    edit: "Click a region to choose it; drag its corners, the small dots between them, or its inside. By keyboard: C chooses a corner, arrows move it (or the whole), Delete removes it.",
  };
  const near = (p, q, d) => Math.hypot(p[0] - q[0], p[1] - q[1]) <= d;

  S.drawing = (view, store) => {
    const { viewer, stage } = view, canvas = viewer.canvas;
    const bar = el("div", { class: "lb-slide-drawbar", hidden: true }), said = el("span", {});
    const button = (text, act) => { const b = el("button", { type: "button", class: "lb-small" }, text); b.onclick = act; return b; };
    const done = button("Finish", () => close()), back = button("Back", () => pop()), stop = button("Cancel", () => cancel());
    back.title = "Remove the last corner"; back.setAttribute("aria-label", "Back: remove the last corner"); bar.append(said, done, back, stop); stage.append(bar);
    let tool = "hand", points = [], pointer = null, gesture = null, cross = false, corner = null, preview = null, space = false, reach = CLOSE, pressed = null, taken = false;

    const layer = view.addLayer({ name: "regions", order: 80, draw: (ctx, v) => paint(ctx, v), legend: (ctx, at) => legend(ctx, at) });
    const slideAt = (p) => { const v = view.v(); return v && v.toSlide(p.x, p.y); };
    const within = ([x, y]) => [Math.min(view.size.width, Math.max(0, x)), Math.min(view.size.height, Math.max(0, y))];
    const centre = () => { const v = view.v(); return v && within(v.toSlide(v.width / 2, v.height / 2)); };
    const shown = () => (preview ? store.list.map((f) => (f.id === preview.id ? preview : f)) : store.list);

    /* ---- choosing a tool ---- */
    const busy = () => points.length > 0 || gesture !== null;
    const update = () => {
      stage.dataset.tool = space ? "hand" : tool; bar.hidden = !points.length;
      said.textContent = tool === "rectangle" ? "First corner set" : points.length === 1 ? "1 corner" : `${points.length} corners`;
      done.hidden = tool !== "polygon"; done.disabled = points.length < 3; back.hidden = tool !== "polygon";
      layer.redraw();
    };
    const choose = (name) => {
      if (name !== tool) { points = []; gesture = null; preview = null; corner = null; }
      tool = name; cross = false; viewer.gestureSettingsMouse.dblClickToZoom = viewer.gestureSettingsTouch.dblClickToZoom = viewer.gestureSettingsPen.dblClickToZoom = name === "hand";
      view.say(HINTS[name]); update();
    };
    const cancel = () => {
      if (gesture || points.length) { points = []; gesture = null; preview = null; view.say("Given up; nothing was added."); update(); return; }
      if (corner) { corner = null; update(); return; }
      if (tool !== "hand") view.chooseTool("hand");
    };

    /* ---- making regions ---- */
    const finish = (corners) => {
      points = []; gesture = null;
      if (!view.full()) { const [made] = store.add([store.named(corners)]); view.say(`${made.properties.name}: ${S.areaText(S.area(made), view.mpp)}.`); }
      update();
    };
    const box = (a, b) => { const [p, q] = [within(a), within(b)]; return [p, [q[0], p[1]], q, [p[0], q[1]]]; };
    const rectangle = (a, b) => {
      const corners = box(a, b);
      if (Math.abs(corners[0][0] - corners[2][0]) < 2 || Math.abs(corners[0][1] - corners[2][1]) < 2) { points = []; gesture = null; view.say("The rectangle is too small, or it lies outside the slide."); update(); return; }
      finish(corners);
    };
    const addCorner = (at) => { if (view.full()) return; const v = view.v(), last = points[points.length - 1], p = within(at); if (last && near(v.toScreen(...last), v.toScreen(...p), 2)) return; points.push(p); update(); };
    const pop = () => { points.pop(); update(); };
    const close = () => { if (points.length < 3) { view.say("A region needs three corners at least."); return; } finish(points); };
    const keyCorner = (shift) => {
      const at = centre(); if (!at || view.full()) return;
      cross = true;
      if (tool === "rectangle") { if (points.length) rectangle(points[0], at); else { points = [at]; view.say("First corner set at the cross; move the slide and press Enter again."); update(); } return; }
      if (shift) { close(); return; }
      addCorner(at); view.say(`Corner ${points.length} set at the cross.`);
    };

    /* ---- editing ---- */
    /* Every corner as [part, ring, place]; the closing point goes with the first. */
    const handles = (f) => (S.corners(f) > HANDLES ? [] : S.polygons(f).flatMap((rings, part) => rings.flatMap((ring, r) => ring.slice(0, -1).map((p, i) => ({ at: p, next: ring[i + 1], part, r, i })))));
    const changed = (f, part, r, edit) => { // a copy with one ring edited
      const parts = S.polygons(f).map((rings, k) => (k !== part ? rings : rings.map((ring, q) => (q !== r ? ring : S.closedRing(edit(ring.slice(0, -1)))))));
      return { ...f, geometry: f.geometry.type === "Polygon" ? { type: "Polygon", coordinates: parts[0] } : { type: "MultiPolygon", coordinates: parts } };
    };
    const moved = (f, dx, dy) => { const shift = (rings) => rings.map((ring) => ring.map(([x, y]) => [Math.round((x + dx) * 100) / 100, Math.round((y + dy) * 100) / 100])); return { ...f, geometry: f.geometry.type === "Polygon" ? { type: "Polygon", coordinates: shift(f.geometry.coordinates) } : { type: "MultiPolygon", coordinates: f.geometry.coordinates.map(shift) } }; };
    const kept = (f, dx, dy) => { const b = S.bounds(f), { width, height } = view.size, hold = (d, from, size, whole) => Math.min(whole - Math.min(size, 1) - from, Math.max(-from - size + Math.min(size, 1), d)); return moved(f, hold(dx, b.x, b.width, width), hold(dy, b.y, b.height, height)); };
    const onEdge = (f, p, v) => S.polygons(f).some((rings) => rings.some((ring) => ring.slice(1).some((b, i) => distance(p, v.toScreen(...ring[i]), v.toScreen(...b)) <= STILL)));
    const distance = (p, a, b) => { const dx = b[0] - a[0], dy = b[1] - a[1], t = Math.min(1, Math.max(0, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (dx * dx + dy * dy || 1))); return Math.hypot(p[0] - a[0] - t * dx, p[1] - a[1] - t * dy); };
    const under = (p) => { const v = view.v(), at = v.toSlide(...p); return store.list.filter((f) => S.inside(f, ...at) || onEdge(f, p, v)).sort((a, b) => S.area(a) - S.area(b))[0] || null; };
    const grab = (p) => { // what a press with the edit tool takes hold of
      const f = store.chosen, v = view.v(); if (!f || !v) return null;
      const all = handles(f), held = all.filter((h) => near(v.toScreen(...h.at), p, reach)).pop(); // the last one lies on top
      if (held) { corner = held; return { kind: "corner", f, held }; }
      const between = all.find((h) => near(middle(v, h), p, reach) && !near(v.toScreen(...h.at), v.toScreen(...h.next), 28));
      if (between) { corner = { ...between, i: between.i + 1 }; const made = changed(f, between.part, between.r, (ring) => [...ring.slice(0, between.i + 1), within(v.toSlide(...p)), ...ring.slice(between.i + 1)]); return { kind: "corner", f: made, held: corner }; }
      if (S.inside(f, ...v.toSlide(...p))) { corner = null; return { kind: "whole", f, from: v.toSlide(...p) }; }
      return null;
    };
    const middle = (v, h) => { const a = v.toScreen(...h.at), b = v.toScreen(...h.next); return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]; };
    const pull = (at) => { preview = gesture.kind === "whole" ? kept(gesture.f, at[0] - gesture.from[0], at[1] - gesture.from[1]) : changed(gesture.f, gesture.held.part, gesture.held.r, (ring) => ring.map((q, i) => (i === gesture.held.i ? within(at) : q))); layer.redraw(); };
    const commit = () => { const made = preview; gesture = null; preview = null; if (made) { store.put(made); view.say(`${made.properties.name}: ${S.areaText(S.area(made), view.mpp)}.`); } update(); };
    const turn = (by) => { const f = store.chosen; if (!f) { view.say("Choose a region first."); return; } const all = handles(f); if (!all.length) { view.say("This outline has too many corners to be edited one by one; it can be moved as a whole."); return; } const now = corner ? all.findIndex((h) => h.part === corner.part && h.r === corner.r && h.i === corner.i) : by > 0 ? -1 : 0; corner = all[(now + by + all.length) % all.length]; view.reveal(corner.at); view.say(`Corner ${all.indexOf(corner) + 1} of ${all.length}; arrows move it, Delete removes it.`); update(); };
    const nudge = (dx, dy) => {
      const f = store.chosen, v = view.v(); if (!f || !v) return false;
      const turned = (-v.rotation * Math.PI) / 180, step = [(dx * Math.cos(turned) - dy * Math.sin(turned)) / v.scale, (dx * Math.sin(turned) + dy * Math.cos(turned)) / v.scale];
      store.put(corner ? changed(f, corner.part, corner.r, (ring) => ring.map((q, i) => (i === corner.i ? within([q[0] + step[0], q[1] + step[1]]) : q))) : kept(f, ...step));
      if (corner) corner = handles(store.chosen).find((h) => h.part === corner.part && h.r === corner.r && h.i === corner.i) || null;
      update(); return true;
    };
    const drop = () => {
      const f = store.chosen; if (!f) return;
      if (!corner) { store.remove(f.id); view.say(`${f.properties.name} removed; Undo brings it back.`); return; }
      if (S.polygons(f)[corner.part][corner.r].length <= 4) { view.say("A region needs three corners at least."); return; }
      const { part, r, i } = corner; corner = null; store.put(changed(f, part, r, (ring) => ring.filter((_, k) => k !== i))); view.say("Corner removed."); update();
    };

    /* ---- OpenSeadragon's gestures ---- */
    const spot = (e) => [e.position.x, e.position.y];
    viewer.addHandler("canvas-press", (e) => {
      cross = false; taken = false; reach = e.pointerType === "touch" ? TOUCH : CLOSE; pressed = spot(e);
      if (space || gesture || !view.slide) return;
      if (tool === "rectangle" && !view.full()) gesture = { kind: "box", from: slideAt(e.position) };
      if (tool === "edit") gesture = grab(spot(e));
      if (gesture && gesture.f !== store.chosen && gesture.kind === "corner") preview = gesture.f;
    });
    viewer.addHandler("canvas-drag", (e) => {
      if (!gesture) return;
      e.preventDefaultAction = taken = true;
      const at = slideAt(e.position); if (!at) return;
      if (gesture.kind === "box") { gesture.to = at; layer.redraw(); } else pull(at);
    });
    viewer.addHandler("canvas-drag-end", (e) => { if (taken) e.preventDefaultAction = true; }); // or the slide would be flicked on
    viewer.addHandler("canvas-release", () => {
      if (!gesture) return;
      if (gesture.kind === "box") { const { from, to } = gesture; gesture = null; if (to) rectangle(from, to); else update(); return; }
      commit();
    });
    viewer.addHandler("canvas-pinch", () => { if (gesture) { gesture = null; preview = null; update(); } });
    viewer.addHandler("canvas-click", (e) => {
      if (tool === "hand" || !view.slide || space) return;
      e.preventDefaultAction = true;
      if (!pressed || !near(pressed, spot(e), STILL)) return; // the press was the start of a drag, however long it took
      const v = view.v(); if (!v) return;
      if (tool === "polygon") { if (points.length > 2 && near(v.toScreen(...points[0]), spot(e), reach)) close(); else addCorner(v.toSlide(...spot(e))); }
      if (tool === "edit") { const f = under(spot(e)); if (f !== store.chosen) { corner = null; store.choose(f && f.id); } if (f) view.say(`${f.properties.name}: ${S.areaText(S.area(f), view.mpp)}.`); }
    });
    viewer.addHandler("canvas-double-click", (e) => { if (tool === "polygon" && points.length > 2) { e.preventDefaultAction = true; close(); } });
    stage.addEventListener("pointermove", (e) => { const r = canvas.getBoundingClientRect(); pointer = [e.clientX - r.left, e.clientY - r.top]; if (points.length || tool === "edit") { if (points.length) layer.redraw(); if (tool === "edit" && !gesture) stage.dataset.over = overWhat(); } });
    const overWhat = () => { const was = corner, held = grab(pointer); corner = was; return held ? held.kind : under(pointer) ? "region" : ""; };

    /* ---- keys: true where one was taken ---- */
    const KEYS = { c: () => turn(1), C: () => turn(-1), Delete: drop, Backspace: () => (points.length ? pop() : drop()) };
    const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const key = (e) => {
      if (e.key === "Escape" && (busy() || corner || tool !== "hand")) { cancel(); return true; }
      if (e.key === " ") { space = true; stage.dataset.tool = "hand"; return true; }
      if (e.key === "Enter" && (tool === "rectangle" || tool === "polygon")) { keyCorner(e.shiftKey); return true; }
      if (tool === "edit" && ARROWS[e.key] && store.chosen) { const by = e.shiftKey ? 25 : 4; return nudge(...ARROWS[e.key].map((d) => d * by)); }
      if ((e.key === "Backspace" && points.length) || (tool === "edit" && KEYS[e.key])) { KEYS[e.key](); return true; }
      if (ARROWS[e.key] && (tool === "rectangle" || tool === "polygon")) { cross = true; layer.redraw(); }
      return false;
    };
    canvas.addEventListener("keyup", (e) => { if (e.key === " ") { space = false; stage.dataset.tool = tool; } });
    canvas.addEventListener("blur", () => { space = false; stage.dataset.tool = tool; cross = false; layer.redraw(); });

    /* ---- drawing ---- */
    const trace = (ctx, v, f) => { ctx.beginPath(); for (const rings of S.polygons(f)) for (const ring of rings) { ring.forEach((p, i) => { const q = v.toScreen(...p); i ? ctx.lineTo(...q) : ctx.moveTo(...q); }); ctx.closePath(); } };
    const path = (ctx, v, corners, open) => { ctx.beginPath(); corners.forEach((p, i) => { const q = v.toScreen(...p); i ? ctx.lineTo(...q) : ctx.moveTo(...q); }); if (!open) ctx.closePath(); };
    const line = (ctx, colour, width) => { ctx.lineJoin = "round"; ctx.strokeStyle = "rgba(255,255,255,.85)"; ctx.lineWidth = width + 2.5; ctx.stroke(); ctx.strokeStyle = colour; ctx.lineWidth = width; ctx.stroke(); };
    const dot = (ctx, p, r, fill, edge) => { ctx.beginPath(); ctx.arc(p[0], p[1], r, 0, 7); ctx.fillStyle = fill; ctx.fill(); ctx.strokeStyle = edge; ctx.lineWidth = 1.5; ctx.stroke(); };
    const tag = (ctx, text, x, y, colour) => {
      ctx.font = "600 12px system-ui, sans-serif"; const w = ctx.measureText(text).width;
      ctx.fillStyle = "rgba(255,255,255,.88)"; ctx.fillRect(x, y - 18, w + 18, 17); ctx.fillStyle = colour; ctx.fillRect(x, y - 18, 5, 17); ctx.fillStyle = "#1b1e22"; ctx.fillText(text, x + 11, y - 5);
    };
    const paint = (ctx, v) => {
      for (const f of shown()) {
        const b = S.bounds(f), { rect } = v; if (b.x > rect.x + rect.width || b.x + b.width < rect.x || b.y > rect.y + rect.height || b.y + b.height < rect.y) continue;
        const colour = `rgb(${S.colourOf(f)})`, on = store.chosen && f.id === store.chosen.id;
        trace(ctx, v, f); ctx.fillStyle = `rgba(${S.colourOf(f)},${on ? 0.12 : 0.06})`; ctx.fill("evenodd"); line(ctx, colour, on ? 3 : 2);
        const corners = [[b.x, b.y], [b.x + b.width, b.y], [b.x, b.y + b.height], [b.x + b.width, b.y + b.height]].map((p) => v.toScreen(...p)), x = Math.min(...corners.map((p) => p[0])), y = Math.min(...corners.map((p) => p[1]));
        if (b.width * v.scale > 24 || on) tag(ctx, f.properties.name, Math.max(2, x), Math.max(20, y), colour);
      }
      const f = tool === "edit" && (preview || store.chosen);
      if (f) for (const h of handles(f)) {
        if (!near(v.toScreen(...h.at), v.toScreen(...h.next), 28)) dot(ctx, middle(v, h), 3, "#fff", `rgb(${S.colourOf(f)})`);
        const held = corner && h.part === corner.part && h.r === corner.r && h.i === corner.i;
        dot(ctx, v.toScreen(...h.at), held ? 7 : 5, held ? "#ffb000" : "#fff", `rgb(${S.colourOf(f)})`);
      }
      if (gesture && gesture.kind === "box" && gesture.to) { path(ctx, v, box(gesture.from, gesture.to)); ctx.setLineDash([6, 4]); line(ctx, "#0f659c", 2); ctx.setLineDash([]); }
      if (points.length) {
        const tip = cross ? [v.width / 2, v.height / 2] : pointer, end = tip ? within(v.toSlide(...tip)) : null;
        if (tool === "rectangle") { if (end) { path(ctx, v, box(points[0], end)); line(ctx, "#0f659c", 2); } } else { path(ctx, v, end ? [...points, end] : points, true); line(ctx, "#0f659c", 2); }
        points.forEach((p, i) => dot(ctx, v.toScreen(...p), i ? 4 : 6, i ? "#fff" : "#ffb000", "#0f659c"));
      }
      if (cross) { ctx.beginPath(); ctx.moveTo(v.width / 2 - 14, v.height / 2); ctx.lineTo(v.width / 2 + 14, v.height / 2); ctx.moveTo(v.width / 2, v.height / 2 - 14); ctx.lineTo(v.width / 2, v.height / 2 + 14); line(ctx, "#0f659c", 2); }
    };
    const legend = (ctx, { x, y, width }) => {
      ctx.font = "13px system-ui, sans-serif"; let left = x, top = y, any = false;
      for (const f of store.list) {
        const text = `${f.properties.name} (${S.areaText(S.area(f), view.mpp)})`, w = ctx.measureText(text).width + 34;
        if (left > x && left + w > x + width) { left = x; top += 20; }
        ctx.fillStyle = `rgb(${S.colourOf(f)})`; ctx.fillRect(left, top + 2, 12, 12); ctx.fillStyle = "#1b1e22"; ctx.fillText(text, left + 18, top + 13); left += w; any = true;
      }
      return any ? top + 20 - y : 0;
    };
    const fresh = () => { if (!store.chosen) corner = null; update(); };
    view.on("regions", fresh); view.on("chosen", fresh);
    update();
    return { choose, key, cancel, hints: HINTS, redraw: () => layer.redraw(), get tool() { return tool; } };
  };
})();
