/* A picture under a grid of patches, each shown or hidden: by click, by dragging, by keyboard, by a share and a roll of the dice.
   props.picture = {id, url, place: [left, top, width, height] of the whole picture in shares of the grid, seen: what the network sees, rows, columns, alt}; props.mask = {keep | ratio, n} is Python's own choice (n: a number that changes); props.label says what the grid is; props.file names saved pictures.
   The value for Python is {picture, keep, way, seq}. Fires "opened" when first on screen without a picture, "chosen" while the mask changes
   (at most every EVERY_MS, the newest wins), "settled" once it has rested. The drawing itself never waits for the server. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el, MOST_UNDO = 200, EVERY_MS = 40, REST_MS = 400;
  const KEYS = "Keys on the grid: arrows move, space shows or hides a patch, Shift with an arrow paints, R rolls again, U undoes, Y redoes, A shows all, I swaps shown and hidden.";

  const dice = (seed) => () => { seed = (seed + 0x6d2b79f5) | 0; let t = Math.imul(seed ^ (seed >>> 15), 1 | seed); t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t; return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32; };
  /* The `k` patches that one throw of the dice hides. The same throw with a larger k hides, in the random way, the same ones and more. */
  const THROWS = {
    random: (rows, columns, k, next) => { const a = [...Array(rows * columns).keys()]; for (let i = a.length - 1; i > 0; i -= 1) { const j = Math.floor(next() * (i + 1)); [a[i], a[j]] = [a[j], a[i]]; } return a.slice(0, k); },
    block: (rows, columns, k, next) => { // rectangles, one after the other, the last one trimmed; as in BEiT and in models/promim/masks.py
      const hidden = new Set();
      while (hidden.size < k) {
        const missing = k - hidden.size, size = Math.min(4, missing) + next() * Math.max(missing - 4, 0), aspect = Math.exp(Math.log(0.3) * (1 - 2 * next()));
        const h = Math.min(rows, Math.max(1, Math.round(Math.sqrt(size * aspect)))), w = Math.min(columns, Math.max(1, Math.round(Math.sqrt(size / aspect)))), top = Math.floor(next() * (rows - h + 1)), left = Math.floor(next() * (columns - w + 1));
        for (let r = top; r < top + h; r += 1) for (let c = left; c < left + w; c += 1) if (hidden.size < k) hidden.add(r * columns + c);
      }
      return [...hidden];
    },
  };

  L.patchGrid = (element, props, watch, trigger) => {
    const image = el("img", { alt: "", draggable: "false" }), cells_box = el("div", { class: "lb-patch-cells", role: "grid", "aria-multiselectable": "true" });
    const stage = el("div", { class: "lb-patch-stage" }, image, cells_box), count = el("output", { class: "lb-patch-count", role: "status" }), hint = el("p", { class: "lb-hint" }, KEYS);
    const share = el("input", { type: "range", min: 0, max: 1, step: 1, value: 0 }), button = (text, title, f) => { const b = el("button", { type: "button", class: "lb-small", title }, text); b.onclick = f; return b; };
    let rows = 0, columns = 0, kept = new Uint8Array(0), cells = [], thrown = 1, way = "random", at = 0, seq = 0, past = [], future = [], wanted = props.mask && props.mask.ratio;
    const undo = button("Undo", "Undo (U)", () => travel(past, future)), redo = button("Redo", "Redo (Y)", () => travel(future, past));
    const looks = L.segment("How hidden patches look", [["grey", "Greyed out"], ["gone", "As it was seen"], ["bare", "Whole picture"]], "grey", (key) => { stage.dataset.look = key; source(); });
    const ways = L.segment("How patches are chosen", [["random", "Random"], ["block", "Block"]], way, (key) => { way = key; roll(); });
    const root = el("div", { class: "lb-patches" }, stage,
      el("label", { class: "lb-tools" }, el("span", {}, "Hidden share"), share, count),
      el("div", { class: "lb-tools" }, ways, button("Roll again", "Another mask with as many hidden patches (R)", () => roll()), undo, redo, button("Show all", "Hide nothing (A)", () => all()), button("Swap", "Show what is hidden and hide what is shown (I)", () => swap())),
      el("div", { class: "lb-tools" }, el("span", {}, "Show"), looks, button("Save picture (PNG)", "The picture with its hidden patches greyed out", () => save())), el("details", { class: "lb-notes" }, el("summary", {}, "With the keyboard or by touch"), hint, el("p", { class: "lb-hint" }, "A tap or click turns one patch over; dragging paints further patches the same way as the first.")));
    element.replaceChildren(root); stage.dataset.look = "grey"; cells_box.setAttribute("aria-label", props.label);

    /* ---- what Python hears */
    let last = -Infinity, waiting = null, rest = null;
    const tell = () => { clearTimeout(waiting); waiting = null; last = performance.now(); seq += 1; root.dataset.seq = seq; props.value = { picture: props.picture.id, keep: shown(), way, seq }; trigger("chosen"); };
    const send = () => {
      clearTimeout(rest); rest = setTimeout(() => { if (waiting !== null) tell(); trigger("settled"); }, REST_MS);
      if (waiting !== null) return;
      const wait = last + EVERY_MS - performance.now(); wait > 0 ? (waiting = setTimeout(tell, wait)) : tell();
    };

    /* ---- the mask */
    const shown = () => { const keep = []; kept.forEach((k, i) => { if (k) keep.push(i); }); return keep; };
    const paint = (i) => { const c = cells[i]; if (!c) return; c.setAttribute("aria-selected", kept[i] ? "true" : "false"); };
    const report = () => {
      const n = kept.length, hidden = n - shown().length; count.textContent = `${hidden} of ${n} (${Math.round((100 * hidden) / Math.max(1, n))} %)`;
      share.value = hidden; share.setAttribute("aria-valuetext", count.textContent); root.dataset.kept = n - hidden; undo.disabled = !past.length; redo.disabled = !future.length;
    };
    const put = (next) => { for (let i = 0; i < next.length; i += 1) if (next[i] !== kept[i]) { kept[i] = next[i]; paint(i); } report(); send(); };
    const remember = () => { past.push(kept.slice()); if (past.length > MOST_UNDO) past.shift(); future = []; };
    const travel = (from, to) => { if (!from.length) return; to.push(kept.slice()); put(from.pop()); };
    const hide = (k) => { const next = new Uint8Array(rows * columns).fill(1); for (const i of THROWS[way](rows, columns, k, dice(thrown))) next[i] = 0; return next; };
    const roll = () => { remember(); thrown = Math.floor(Math.random() * 2 ** 31); put(hide(+share.value)); };
    const all = () => { remember(); put(new Uint8Array(rows * columns).fill(1)); };
    const swap = () => { remember(); put(kept.map((k) => 1 - k)); };
    const set = (i, value) => { if (kept[i] === value) return; kept[i] = value; paint(i); report(); send(); };
    let sliding = false;
    share.oninput = () => { if (!sliding) { remember(); sliding = true; } put(hide(+share.value)); };
    share.onchange = () => { sliding = false; };

    /* ---- pointer: the first patch decides what the rest of a drag does; fast drags leave no gaps */
    let brush = null, from = null;
    const cell_of = (e) => { const b = cells_box.getBoundingClientRect(); return [Math.min(rows - 1, Math.max(0, Math.floor(((e.clientY - b.top) / b.height) * rows))), Math.min(columns - 1, Math.max(0, Math.floor(((e.clientX - b.left) / b.width) * columns)))]; };
    const line = ([r0, c0], [r1, c1]) => { const n = Math.max(Math.abs(r1 - r0), Math.abs(c1 - c0), 1); for (let k = 0; k <= n; k += 1) set(Math.round(r0 + ((r1 - r0) * k) / n) * columns + Math.round(c0 + ((c1 - c0) * k) / n), brush); };
    cells_box.onpointerdown = (e) => {
      if (e.button > 0 || !kept.length) return;
      e.preventDefault(); from = cell_of(e); const i = from[0] * columns + from[1]; remember(); brush = 1 - kept[i]; focus(i, true);
      try { cells_box.setPointerCapture(e.pointerId); } catch { /* a pointer that is already gone */ }
      set(i, brush);
    };
    cells_box.onpointermove = (e) => { if (brush === null) return; const to = cell_of(e); if (to[0] !== from[0] || to[1] !== from[1]) { line(from, to); from = to; } };
    cells_box.onpointerup = cells_box.onpointercancel = () => { brush = null; };

    /* ---- keyboard */
    const focus = (i, quiet) => { if (cells[at]) cells[at].tabIndex = -1; at = i; cells[at].tabIndex = 0; cells[at].focus({ preventScroll: quiet }); };
    const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const COMMANDS = { r: () => roll(), u: () => travel(past, future), y: () => travel(future, past), a: all, i: swap };
    const walk = ([dr, dc], painting) => {
      const r = Math.min(rows - 1, Math.max(0, Math.floor(at / columns) + dr)), c = Math.min(columns - 1, Math.max(0, (at % columns) + dc)), value = kept[at];
      focus(r * columns + c); if (painting && kept[at] !== value) { remember(); set(at, value); }
    };
    cells_box.onkeydown = (e) => {
      const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
      if (e.ctrlKey || e.metaKey) { if (key === "z") { e.preventDefault(); e.shiftKey ? travel(future, past) : travel(past, future); } return; }
      if (e.altKey || !cells.length) return;
      const go = STEPS[key] ? () => walk(STEPS[key], e.shiftKey) : key === " " || key === "Enter" ? () => { remember(); set(at, 1 - kept[at]); } : key === "Home" ? () => focus(at - (at % columns)) : key === "End" ? () => focus(at - (at % columns) + columns - 1) : COMMANDS[key];
      if (go) { e.preventDefault(); go(); }
    };

    const save = () => L.savePng([asCanvas(stage, image, rows, columns, kept)], `${props.file}.png`, `Lightbox · ${count.textContent} hidden · ${new Date().toISOString().slice(0, 16).replace("T", " ")} · research use only`);

    /* ---- what Python sends */
    const build = () => {
      cells = []; at = 0; past = []; future = []; cells_box.style.gridTemplateColumns = `repeat(${columns}, 1fr)`; stage.style.aspectRatio = `${columns} / ${rows}`;
      cells_box.setAttribute("aria-rowcount", rows); cells_box.setAttribute("aria-colcount", columns);
      cells_box.replaceChildren(...Array.from({ length: rows }, (_, r) => el("div", { role: "row" }, ...Array.from({ length: columns }, (__, c) => { const cell = el("div", { role: "gridcell", "aria-selected": "true", "aria-label": `row ${r + 1}, column ${c + 1}`, tabindex: cells.length ? "-1" : "0" }); cells.push(cell); return cell; }))));
      share.max = rows * columns; kept = new Uint8Array(rows * columns).fill(1);
    };
    const take = (mask) => { wanted = mask.ratio ?? wanted; put(mask.keep ? Uint8Array.from(kept, (_, i) => +mask.keep.includes(i)) : hide(Math.round(wanted * rows * columns))); };
    const source = () => { // the picture as it came, moved so that the grid lies on what the network sees of it; or that itself
      const p = props.picture, small = stage.dataset.look === "gone" && p.seen, src = small ? p.seen : p.url, [x, y, w, h] = small ? [0, 0, 1, 1] : p.place;
      Object.assign(image.style, { left: `${100 * x}%`, top: `${100 * y}%`, width: `${100 * w}%`, height: `${100 * h}%` });
      if (src && image.getAttribute("src") !== src) image.src = src;
    };
    const picture = () => {
      const p = props.picture; if (!p || !p.url) return;
      source(); image.alt = p.alt || ""; root.hidden = false;
      if (p.rows !== rows || p.columns !== columns) { [rows, columns] = [p.rows, p.columns]; build(); take({ ratio: wanted ?? 0 }); } else send();
    };
    watch("picture", picture);
    watch("mask", () => { if (props.mask && kept.length) { remember(); take(props.mask); } else if (props.mask) wanted = props.mask.ratio; });
    watch("label", () => cells_box.setAttribute("aria-label", props.label));
    root.hidden = true;
    props.picture && props.picture.url ? picture() : trigger("opened");
  };

  /* The picture with its hidden patches greyed out, for saving. */
  const asCanvas = (stage, image, rows, columns, kept) => {
    const side = 720, c = el("canvas", { width: side, height: Math.round((side * rows) / columns) }), g = c.getContext("2d"), w = side / columns, k = side / stage.clientWidth;
    g.fillStyle = "#000"; g.fillRect(0, 0, c.width, c.height);
    g.drawImage(image, image.offsetLeft * k, image.offsetTop * k, image.offsetWidth * k, image.offsetHeight * k); g.fillStyle = "rgba(112, 112, 112, .82)";
    kept.forEach((shown, i) => { if (!shown) g.fillRect((i % columns) * w, Math.floor(i / columns) * w, w, w); });
    return c;
  };
})();
