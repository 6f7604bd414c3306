/* The prompt canvas: click inside or outside, drag a box, brush, count segments in or out. The browser owns the state; Python answers.
   props: label, tools, picture {id, url, width, height, alt}, answer {asked, segment, found: [{runs, iou, stability}], refused}, given {gift, replace, picture, segments},
   heat {rows, columns, values, box, label} | null, busy {text, share} | null. Fires prompted, edited, toggled, changed; see workbench/parts/prompt_canvas.py. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el, CLICK_PX = 6, TALLEST = 600;
  const TOOLS = { inside: "+ Inside", outside: "− Outside", box: "Box", brush: "Brush", erase: "Erase", pick: "In / out" };
  const HINTS = {
    inside: "Click inside what you want outlined. With a mouse you can also drag a box, and mark what lies outside with Shift or the right button.",
    outside: "Click what the outline should leave out.",
    box: "Drag a box around one structure.",
    brush: "Paint over what the outline has missed; a later click outlines the segment anew.",
    erase: "Wipe away what the outline has too much of.",
    pick: "Click a segment to count it in or out. Only segments that are counted in are painted.",
  };
  const KEYS = "Keys, once the picture has the focus: arrows move the cross (with Shift in large steps), Enter marks inside, Shift + Enter outside, B twice sets two corners of a box, Space counts the segment under the cross in or out, N begins a new segment, O shows another outline, Z takes back, Y does again, Delete removes the chosen segment, plus and minus zoom, 0 fits.";
  const percent = (v) => (v === null || v === undefined ? "–" : `${(100 * v).toFixed(v < 0.1 ? 1 : 0)} %`);

  L.promptCanvas = (element, props, watch, trigger) => {
    const state = L.promptState(), uid = `lb-${Math.random().toString(36).slice(2)}`, tools = props.tools.filter((t) => TOOLS[t]);
    const canvas = el("canvas", { class: "lb-canvas lb-prompt-canvas", tabindex: "0", role: "application", "aria-label": props.label, "aria-describedby": `${uid}-hint ${uid}-keys`, hidden: true });
    const view = L.promptView(canvas), stage = el("div", { class: "lb-plot-box" }, canvas), tip = el("div", { class: "lb-tip", hidden: true });
    const hint = el("p", { class: "lb-hint", id: `${uid}-hint` }), say = el("p", { class: "lb-hint lb-prompt-say", role: "status" }), list = el("ul", { class: "lb-segments", "aria-label": "Segments" });
    const busy = el("div", { class: "lb-prompt-busy", hidden: true }, el("span", {}), el("div", { class: "lb-bar" }, el("i", {})));
    const button = (text, title, act) => { const b = el("button", { type: "button", class: "lb-small", title, "aria-label": title.startsWith(text) ? title : `${text}: ${title}` }, text); b.onclick = act; return b; };
    const range = (label, min, max, value, onChange) => { const input = el("input", { type: "range", min, max, value }); input.oninput = () => onChange(+input.value); return el("label", { class: "lb-prompt-range" }, el("span", {}, label), input); };
    let tool = tools[0], brush = 8, cursor = null, keyed = false, corner = null, gesture = null, hover = null, stroke = null, ring = null, frame = 0, posted = 0;

    /* ---- telling Python ---- */
    const shown = () => props.picture || {};
    const value = () => ({ picture: shown().id || "", size: [view.h, view.w], asked: state.active ? state.active.asked : 0, active: state.activeId, segments: state.segments.map(({ found, open, asked, pick, ...s }) => s) });
    const tell = (...events) => { props.value = value(); for (const event of events) trigger(event); };
    const ask = () => { state.ask(); say.textContent = "Outlining …"; tell("prompted"); };
    const settle = (event) => { // after any change: ask when an outline is missing, else tell what stands now
      draw(); clearTimeout(posted);
      if (state.waiting) { if (event) tell(event); ask(); return; }
      posted = setTimeout(() => tell("changed"), 0);
      if (event) tell(event);
    };

    /* ---- acting ---- */
    const words = (s) => `${s.name}: ${percent(s.runs ? L.masks.area(s.runs) / (view.w * view.h) : null)} of the picture${s.iou === null ? "" : `, estimated fit ${percent(s.iou)}`}${s.stability === null ? "" : `, stability ${percent(s.stability)}`}${s.on ? "" : ", not counted"}`;
    const refuse = (sentence) => { say.textContent = sentence; };
    const room = () => { if (!state.active && state.full) { refuse("There is no room for more segments; remove one first."); return false; } return true; };
    const point = (x, y, label) => {
      if (!room()) return;
      if (!label && !(state.active && (state.active.points.length || state.active.box))) { refuse("First click inside what you want outlined, or choose a segment; then take parts away."); return; }
      state.point(x, y, label); settle();
    };
    const box = (a, b) => {
      const found = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
      if (found[2] - found[0] < 1 || found[3] - found[1] < 1) { refuse("The box is too small; drag it around the whole structure."); return; }
      if (state.active && (state.active.runs || state.active.points.length)) state.activate(null); // a box always begins a segment of its own
      if (room()) { state.box(found); settle(); }
    };
    const under = ([x, y]) => state.segments.filter((s) => s.runs && L.masks.has(s.runs, y * view.w + x)).sort((p, q) => L.masks.area(p.runs) - L.masks.area(q.runs))[0] || null;
    const toggle = (id) => { state.toggle(id); say.textContent = words(state.segments.find((s) => s.id === id)); settle("toggled"); };
    const pick = (at) => { const s = under(at); s ? toggle(s.id) : refuse("There is no segment here."); };
    const startStroke = (at) => {
      if (!room()) return;
      if (tool === "erase" && !(state.active && state.active.runs)) { const s = under(at); if (!s) { refuse("Begin to wipe on the segment you want to change."); return; } state.activate(s.id); }
      const s = state.active, id = s ? s.id : 0;
      stroke = { bits: s && s.runs ? L.masks.decode(s.runs, view.w, view.h) : new Uint8Array(view.w * view.h), id: id || Math.max(0, ...state.segments.map((o) => o.id)) + 1, others: state.segments.filter((o) => o.id !== id), last: at };
      moveStroke(at);
    };
    const moveStroke = (at) => { L.masks.stroke(stroke.bits, view.w, view.h, stroke.last, at, brush, tool === "erase" ? 0 : 1); stroke.last = at; draw(); };
    const endStroke = () => { const runs = L.masks.encode(stroke.bits); stroke = null; state.brush(runs); say.textContent = words(state.active); settle("edited"); };
    const history = (back) => { if (back ? !state.canUndo : !state.canRedo) { refuse(back ? "Nothing to take back." : "Nothing to do again."); return; } back ? state.undo() : state.redo(); say.textContent = `${back ? "Taken back" : "Done again"}: ${state.segments.length} segments.`; settle(); };
    const begin = () => { state.activate(null); say.textContent = "The next click begins a new segment."; draw(); };
    const leaf = () => { if (!state.active || state.active.found.length < 2) { refuse("There is no other outline; click once to get several."); return; } state.leaf(); say.textContent = `Outline ${state.active.pick + 1} of ${state.active.found.length}. ${words(state.active)}`; settle(); };
    const remove = (id) => { if (id === null) { refuse("Choose a segment first."); return; } state.remove(id); say.textContent = "Segment removed."; settle(); };

    /* ---- mouse, pen, touch ---- */
    const spot = (e) => { const r = canvas.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
    const fingers = new Map();
    const painting = () => tool === "brush" || tool === "erase";
    canvas.oncontextmenu = (e) => e.preventDefault();
    canvas.onpointerdown = (e) => {
      keyed = false; cursor = null; canvas.focus({ preventScroll: true });
      const at = spot(e); fingers.set(e.pointerId, at);
      if (fingers.size === 2) { if (stroke) stroke = null; gesture = { pinch: true }; draw(); return; }
      if (!view.onPicture(...at) && !painting()) return;
      canvas.setPointerCapture(e.pointerId);
      gesture = { at, pan: e.button === 1, not: e.button === 2 || e.shiftKey, drags: tool === "box" || (tool === "inside" && e.pointerType === "mouse" && tools.includes("box")) };
      if (e.button === 1) e.preventDefault();
      else if (painting()) startStroke(view.pixel(...at));
    };
    canvas.onpointermove = (e) => {
      const at = spot(e), was = fingers.get(e.pointerId);
      if (was) fingers.set(e.pointerId, at);
      if (gesture && gesture.pinch && was && fingers.size === 2) { pinch(e.pointerId, was, at); return; }
      if (gesture && gesture.pan) { view.panBy(at[0] - was[0], at[1] - was[1]); draw(); return; }
      ring = painting() ? [...at, brush] : null;
      if (stroke) { moveStroke(view.pixel(...at)); return; }
      if (gesture && gesture.drags && Math.hypot(at[0] - gesture.at[0], at[1] - gesture.at[1]) > CLICK_PX) gesture.box = [view.pixel(...gesture.at), view.pixel(...at)];
      if (!gesture && e.pointerType !== "touch") peek(at);
      if (gesture || ring) draw();
    };
    const pinch = (id, was, at) => {
      const other = [...fingers].find(([key]) => key !== id)[1], before = Math.hypot(was[0] - other[0], was[1] - other[1]), after = Math.hypot(at[0] - other[0], at[1] - other[1]);
      if (before > 8) view.zoomBy(after / before, (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
      view.panBy((at[0] - was[0]) / 2, (at[1] - was[1]) / 2); draw();
    };
    canvas.onpointerup = (e) => {
      fingers.delete(e.pointerId);
      const done = gesture; if (fingers.size === 0) gesture = null;
      if (!done || done.pinch || done.pan) return;
      if (stroke) { endStroke(); return; }
      const at = view.pixel(...done.at);
      if (done.box) box(...done.box);
      else if (tool === "pick") pick(at);
      else if (tool === "inside" || tool === "outside") point(...at, tool === "outside" || done.not ? 0 : 1);
      draw();
    };
    canvas.onpointercancel = (e) => { fingers.delete(e.pointerId); gesture = null; stroke = null; draw(); }; // the browser has begun to scroll
    canvas.onblur = () => { keyed = false; draw(); };
    canvas.onpointerleave = () => { ring = null; hover = null; tip.hidden = true; draw(); };
    canvas.addEventListener("wheel", (e) => { if (!e.ctrlKey && !e.metaKey) return; e.preventDefault(); view.zoomBy(Math.exp(-e.deltaY / 300), ...spot(e)); draw(); }, { passive: false });
    const peek = (at) => {
      const s = view.onPicture(...at) ? under(view.pixel(...at)) : null, id = s ? s.id : null;
      tip.hidden = !s;
      if (s) { tip.textContent = words(s); tip.style.left = `${Math.min(at[0] + 14, Math.max(0, canvas.clientWidth - tip.offsetWidth - 4))}px`; tip.style.top = `${Math.min(at[1] + 16, Math.max(0, canvas.clientHeight - tip.offsetHeight - 4))}px`; }
      if (id !== hover) { hover = id; draw(); }
    };

    /* ---- keyboard ---- */
    const move = (dx, dy, large) => {
      const stepSize = Math.max(1, Math.round(Math.max(view.w, view.h) / (large ? 10 : 64) / (large ? 1 : view.zoom)));
      const from = cursor || [view.w >> 1, view.h >> 1];
      cursor = [Math.min(view.w - 1, Math.max(0, from[0] + dx * stepSize)), Math.min(view.h - 1, Math.max(0, from[1] + dy * stepSize))];
      const s = under(cursor); say.textContent = `Cross ${percent(cursor[0] / view.w)} from the left, ${percent(cursor[1] / view.h)} from the top${s ? `, on ${s.name}` : ""}.`; draw();
    };
    const atCross = (act) => { cursor = cursor || [view.w >> 1, view.h >> 1]; act(cursor); };
    const cornerHere = (at) => { if (!corner) { corner = at; say.textContent = "First corner set; move the cross and press B again, Escape gives up."; draw(); return; } const first = corner; corner = null; box(first, at); };
    const dab = (at) => { startStroke(at); if (stroke) endStroke(); };
    const KEYMAP = {
      ArrowLeft: (e) => move(-1, 0, e.shiftKey), ArrowRight: (e) => move(1, 0, e.shiftKey), ArrowUp: (e) => move(0, -1, e.shiftKey), ArrowDown: (e) => move(0, 1, e.shiftKey),
      Enter: (e) => atCross((at) => (painting() ? dab(at) : tool === "pick" ? pick(at) : point(...at, e.shiftKey || tool === "outside" ? 0 : 1))),
      " ": () => atCross(pick), b: () => atCross(cornerHere), z: (e) => history(!e.shiftKey), y: () => history(false), n: begin, o: leaf,
      Delete: () => remove(state.activeId), "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: () => fit(), Escape: () => { corner = null; draw(); },
    };
    canvas.onkeydown = (e) => {
      const act = KEYMAP[e.key.length === 1 ? e.key.toLowerCase() : e.key];
      if (!act || e.altKey || ((e.ctrlKey || e.metaKey) && !/^[zy]$/i.test(e.key))) return;
      e.preventDefault(); keyed = true; act(e);
    };

    /* ---- the frame around it ---- */
    const zoom = (factor) => { view.zoomBy(factor, ...(keyed && cursor ? view.toScreen(cursor[0] + 0.5, cursor[1] + 0.5) : [])); draw(); };
    const fit = () => { view.fit(); draw(); };
    const choose = (name) => { tool = name; hint.textContent = HINTS[name]; canvas.dataset.tool = name; canvas.style.touchAction = name === "box" || painting() ? "none" : "pan-y"; size.hidden = !painting(); ring = null; };
    const size = range("Brush", 1, 40, brush, (v) => { brush = v; });
    const heatRange = range("Map", 0, 100, 100 * view.heatOpacity, (v) => { view.heatOpacity = v / 100; draw(); });
    const undo = button("Undo", "Take back the last step", () => history(true)), redo = button("Redo", "Do the last step again", () => history(false));
    const other = button("Other outline", "Show another outline for the same click", leaf), fresh = button("New segment", "Let the next click begin a new segment", begin);
    const clear = button("Clear", "Remove all segments", () => { state.clear(); say.textContent = "All segments removed."; settle(); });
    const empty = el("p", { class: "lb-hint" }, "No picture yet.");
    const frameParts = el("div", { hidden: true },
      el("div", { class: "lb-tools lb-prompt-tools" }, L.segment("Tool", tools.map((t) => [t, TOOLS[t]]), tool, choose), size), stage,
      el("div", { class: "lb-tools" }, undo, redo, fresh, other, clear, el("span", { class: "lb-prompt-zoom" }, button("−", "Zoom out", () => zoom(1 / 1.5)), button("+", "Zoom in", () => zoom(1.5)), button("Fit", "Fit the picture", fit)), range("Colour", 0, 100, 100 * view.opacity, (v) => { view.opacity = v / 100; draw(); }), heatRange),
      hint, say, busy, list, el("details", { class: "lb-notes" }, el("summary", {}, "By keyboard"), el("p", { id: `${uid}-keys` }, KEYS)));
    stage.append(tip); element.replaceChildren(el("div", { class: "lb-prompt" }, empty, frameParts));

    const rows = () => {
      list.replaceChildren(...state.segments.map((s) => {
        const on = el("input", { type: "checkbox", "aria-label": `Count ${s.name} in` }), name = el("button", { type: "button", class: "lb-small", "aria-pressed": String(s.id === state.activeId), title: "Refine this one with the next clicks" }, s.name);
        on.checked = s.on; on.onchange = () => toggle(s.id); name.onclick = () => { state.activate(s.id === state.activeId ? null : s.id); draw(); };
        const cross = button("×", `Remove ${s.name}`, () => remove(s.id)), swatch = el("i", { class: "lb-dot" }); swatch.style.background = `rgb(${L.fillOf(s.id)})`;
        const item = el("li", { "data-on": String(s.on) }, on, swatch, name, el("span", {}, s.runs ? words(s).slice(s.name.length + 2) : "no outline yet"), cross);
        item.onpointerenter = () => { hover = s.id; paint(); }; item.onpointerleave = () => { hover = null; paint(); };
        return item;
      }));
    };
    const paint = () => { frame = 0; view.size(TALLEST); view.draw(state.segments, { active: state.activeId, hover, drag: gesture && gesture.box ? corners(gesture.box) : corner && cursor ? corners([corner, cursor]) : null, bits: stroke, ring, cursor: keyed ? cursor : null }); };
    const corners = ([a, b]) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
    let listed = null, listedActive;
    const draw = () => {
      if (!frame) frame = requestAnimationFrame(paint);
      undo.disabled = !state.canUndo; redo.disabled = !state.canRedo; clear.disabled = !state.segments.length; other.hidden = !(state.active && state.active.found.length > 1);
      if (listed === state.segments && listedActive === state.activeId) return;
      listed = state.segments; listedActive = state.activeId; rows();
      canvas.dataset.segments = state.segments.filter((s) => s.runs).length; canvas.dataset.on = state.segments.filter((s) => s.runs && s.on).length;
      canvas.dataset.points = state.active ? state.active.points.length : 0; canvas.dataset.area = state.active && state.active.runs ? L.masks.area(state.active.runs) : 0;
      canvas.setAttribute("aria-label", `${props.label}. ${state.segments.length ? state.segments.map(words).join("; ") : "Nothing is marked"}.`);
    };

    /* ---- what Python sends ---- */
    const picture = () => {
      const p = shown(); if (!p.url) { frameParts.hidden = true; empty.hidden = false; return; }
      const image = new Image(); image.onload = draw; image.onerror = () => refuse("The picture did not arrive; choose it once more."); image.src = p.url;
      Object.assign(view, { image, w: p.width, h: p.height }); view.fit(); state.reset(); cursor = corner = stroke = null;
      brush = Math.max(2, Math.round(Math.max(p.width, p.height) / 40)); Object.assign(size.lastChild, { max: Math.round(Math.max(p.width, p.height) / 6), value: brush });
      frameParts.hidden = false; empty.hidden = true; canvas.hidden = false; canvas.dataset.picture = p.id; say.textContent = ""; settle();
    };
    const answer = () => {
      const a = props.answer; if (!a || !a.asked) return;
      if (!state.answer(a)) return;
      canvas.dataset.answered = a.asked;
      say.textContent = a.refused || words(state.active || state.segments.find((s) => s.id === a.segment)); settle();
    };
    const given = () => { const g = props.given; if (!g || !g.gift || g.gift === taken) return; taken = g.gift; if (g.picture && g.picture !== shown().id) return; const n = state.give(g.segments, g.replace); say.textContent = n === 1 ? "1 segment was added." : `${n} segments were added.`; settle(); };
    const heat = () => { const h = props.heat; view.heat = h ? { layer: L.heatLayer(h), box: h.box } : null; heatRange.hidden = !h; draw(); };
    const work = () => { const b = props.busy; busy.hidden = !b; if (b) { busy.firstChild.textContent = b.text; busy.lastChild.firstChild.style.width = `${Math.round(100 * (b.share || 0))}%`; } };
    let taken = null;
    watch("picture", picture); watch("answer", answer); watch("given", given); watch("heat", heat); watch("busy", work);
    new ResizeObserver(draw).observe(element); L.onTheme(draw); choose(tool); heat(); work(); picture(); given();
  };
})();
