/* Lightbox in the browser: colours, number format, following a job. Plain scripts, joined into one file that
   Gradio adds to the page's head while the page runs; the body is there by then. */
(() => {
  "use strict";
  const L = (window.Lightbox = window.Lightbox || {});

  /* Okabe and Ito's colour-blind-safe set, in an order that keeps neighbours far apart; a second look comes from the dash pattern. */
  const LIGHT = ["#0072B2", "#D55E00", "#009E73", "#B8447D", "#7A6A00", "#3C8DBC", "#5B5B5B", "#8C4A00", "#005F49", "#6A3D9A"];
  const DARK = ["#5AB4F0", "#FF8A47", "#2FD3A5", "#F08BC0", "#E8D44D", "#9AD2F5", "#BDBDBD", "#E0A060", "#66C2A5", "#B79BE0"];
  const DASH = [[], [7, 4], [2, 3], [9, 3, 2, 3], [5, 2], [12, 4], [1, 4], [6, 2, 1, 2], [3, 3], [10, 2]];
  L.isDark = () => document.body.classList.contains("dark");
  L.colour = (i) => (L.isDark() ? DARK : LIGHT)[i % LIGHT.length];
  L.dash = (i) => DASH[i % DASH.length];
  L.css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

  /* The visitor's choice of dark or light wins over the system's. Gradio sets the class itself while it starts, so the choice is held for a while. */
  const chosen = () => { try { return localStorage.getItem("lightbox-scheme"); } catch { return null; } };
  const hold = () => { const s = chosen(); if (s && document.body.classList.contains("dark") !== (s === "dark")) document.body.classList.toggle("dark", s === "dark"); };
  L.toggleScheme = () => { const dark = document.body.classList.toggle("dark"); try { localStorage.setItem("lightbox-scheme", dark ? "dark" : "light"); } catch { /* a browser that keeps nothing */ } };
  hold();
  const started = new MutationObserver(hold); started.observe(document.body, { attributes: true, attributeFilter: ["class"] }); setTimeout(() => started.disconnect(), 8000);

  /* Every drawing asks to be told when the page turns dark or light. */
  const themed = new Set();
  L.onTheme = (f) => { themed.add(f); return () => themed.delete(f); };
  new MutationObserver(() => themed.forEach((f) => f())).observe(document.body, { attributes: true, attributeFilter: ["class"] });

  /* 12345 → "12.3 k", 0.00123 → "0.00123": short enough for an axis, exact enough for a reader. */
  L.num = (v, digits = 3) => {
    if (v === null || v === undefined || Number.isNaN(v)) return "–";
    if (!Number.isFinite(v)) return v > 0 ? "∞" : "−∞";
    const a = Math.abs(v);
    if (a === 0) return "0";
    const signed = (s) => s.replace("-", "−");
    for (const [size, unit] of [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e4, " k"]])
      if (a >= size) return signed(String(+(v / (unit === " k" ? 1e3 : size)).toPrecision(digits))) + unit;
    return a < 1e-3 ? signed(v.toExponential(digits - 1).replace(/\.?0+e/, "e")) : signed(String(+v.toPrecision(digits)));
  };
  L.seconds = (s) => (s === null || s === undefined ? "–" : s < 1 ? `${Math.round(s * 1000)} ms` : s < 60 ? `${s.toFixed(1)} s` : `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`);

  /* el("div", {class: "x"}, "text", child): foreign text always goes in as text, never as markup. */
  L.el = (tag, attributes = {}, ...children) => {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attributes)) if (v !== null && v !== undefined && v !== false) e.setAttribute(k, v === true ? "" : v);
    e.append(...children.filter((c) => c !== null && c !== undefined));
    return e;
  };

  /* Follow a job: calls onEvents(list) with what is new, onState(job) at each change. Survives a server restart by trying again.
     Returns a function that stops following. The poll doubles as the job's sign that somebody is watching. */
  const ENDED = new Set(["done", "stopped", "failed", "interrupted"]);
  L.follow = (id, { onEvents, onState, every = 120 }) => {
    let cursor = 0, alive = true, wait = every, timer = null;
    const tick = async () => {
      if (!alive) return;
      try {
        const answer = await fetch(`lightbox/jobs/${encodeURIComponent(id)}/events?after=${cursor}`, { cache: "no-store", credentials: "same-origin" });
        if (!alive) return;
        if (answer.status === 404 || answer.status === 401) { alive = false; onState({ id, state: "failed", error: "This run is no longer kept on the server. Start a new one." }); return; }
        if (!answer.ok) throw new Error(answer.status);
        const page = await answer.json();
        if (!alive) return;
        cursor = page.cursor; wait = every;
        if (page.events.length) onEvents(page.events);
        onState(page.job);
        if (page.finished) { alive = false; return; }
      } catch (error) {
        if (error instanceof TypeError || /^\d+$/.test(error.message)) { wait = Math.min(5000, wait * 2); onState({ id, state: "unreachable", error: "The server does not answer; trying again." }); }
        else { alive = false; throw error; }
      }
      timer = setTimeout(tick, wait);
    };
    tick();
    return () => { alive = false; clearTimeout(timer); };
  };
  L.ended = (state) => ENDED.has(state);

  /* The strip above every followed job: a pill with its state, a sentence, a progress bar. */
  const STATES = { queued: "Waiting", running: "Running", paused: "Paused", done: "Finished", stopped: "Stopped", failed: "Failed", interrupted: "Interrupted", unreachable: "No answer", recorded: "Recorded" };
  L.statusStrip = (parent) => {
    const pill = L.el("span", { class: "lb-pill", "data-state": "idle" }, "Ready"), note = L.el("span", { class: "lb-note", role: "status" }), bar = L.el("div", { class: "lb-bar", hidden: true }, L.el("i", {}));
    parent.append(L.el("div", { class: "lb-status" }, pill, note, bar));
    return {
      say: (text) => { if (note.textContent !== text) note.textContent = text; },
      progress: (share) => { bar.hidden = false; bar.firstChild.style.width = `${Math.min(100, 100 * share)}%`; },
      /* job: {state, place, error}; text: what to say when the job itself has nothing more urgent to tell. */
      show(job, text = "") {
        pill.textContent = STATES[job.state] || job.state; pill.dataset.state = job.state; parent.dataset.state = job.state;
        this.say(job.error || (job.state === "queued" ? (job.place ? `Place ${job.place} in the line; it starts by itself.` : "Starting …") : text));
      },
    };
  };

  /* A row of buttons of which one is chosen. */
  L.segment = (label, options, chosen, onChoose) => {
    const box = L.el("div", { class: "lb-segment", role: "group", "aria-label": label });
    const buttons = options.map(([key, text]) => {
      const b = L.el("button", { type: "button", "aria-pressed": String(key === chosen) }, text);
      b.onclick = () => { buttons.forEach((o) => o.setAttribute("aria-pressed", String(o === b))); onChoose(key); };
      return b;
    });
    box.append(...buttons);
    return box;
  };

  /* A formula wider than the screen scrolls; then the keyboard must reach it, too. Lessons are laid out when their drawer is first opened. */
  const focusable = (e) => { if (e.scrollWidth > e.clientWidth) e.tabIndex = 0; else e.removeAttribute("tabindex"); };
  const sizes = new ResizeObserver((entries) => entries.forEach((entry) => focusable(entry.target.closest(".katex-display")))), known = new WeakSet();
  const reach = () => document.querySelectorAll(".lb-lesson .katex-display").forEach((e) => { if (!known.has(e)) { known.add(e); sizes.observe(e); if (e.firstElementChild) sizes.observe(e.firstElementChild); } focusable(e); });
  let soon = 0; const later = () => { clearTimeout(soon); soon = setTimeout(reach, 150); };
  document.fonts?.addEventListener("loadingdone", later); // a formula's width is known once its letters are here
  new MutationObserver(later).observe(document.body, { childList: true, subtree: true }); addEventListener("resize", later);

  /* Let the picture in a canvas be saved with a stamp under it. */
  L.savePng = (canvases, name, stamp) => {
    const w = Math.max(...canvases.map((c) => c.width)), h = canvases.reduce((sum, c) => sum + c.height, 0), pad = Math.round(28 * (window.devicePixelRatio || 1));
    const sheet = L.el("canvas", { width: w, height: h + pad }), g = sheet.getContext("2d");
    g.fillStyle = L.css("--background-fill-primary") || "#fff"; g.fillRect(0, 0, w, h + pad);
    let y = 0; for (const c of canvases) { g.drawImage(c, 0, y); y += c.height; }
    g.fillStyle = L.css("--body-text-color-subdued") || "#555"; g.font = `${Math.round(pad * 0.42)}px sans-serif`; g.fillText(stamp, pad / 2, h + pad * 0.65);
    const a = L.el("a", { href: sheet.toDataURL("image/png"), download: name }); a.click();
  };
})();
