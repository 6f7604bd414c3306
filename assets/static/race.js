/* The race board: status, legend, loss and accuracy curves, SOFIM's step length from the inside, and the table. Fed by a job's events
   (props.job = {id}) or by a recorded race (props.recorded = {events, note}). All state of the drawing lives here, in the browser. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el;
  const LOSS_TITLE = "Training loss (mini-batch, smoothed)";
  const X_AXES = { step: ["Steps", "optimiser steps"], seconds: ["Seconds", "seconds of optimising (own time of each method)"], words: ["Words moved", "words of memory moved (counted from the update rule)"] };

  L.raceBoard = (element, props, watch, trigger) => {
    const root = el("div", { class: "lb-race" }); element.replaceChildren(root);
    const strip = L.statusStrip(root);
    const axes = L.segment("Horizontal axis", Object.entries(X_AXES).map(([key, [label]]) => [key, label]), "step", (key) => { xAxis = key; redraw(); });
    const scale = L.segment("Scale of the loss", [["log", "Log loss"], ["linear", "Linear"]], "log", (key) => { loss.opts.yLog = key === "log"; loss.later(); });
    const legend = el("div", { class: "lb-legend", role: "group", "aria-label": "Methods shown" }), plots = el("div", { class: "lb-grid2" }), inside = el("div", { class: "lb-inside" }), table = el("div", { class: "lb-table" });
    const save = el("button", { type: "button", class: "lb-small" }, "Save picture (PNG)");
    root.append(el("div", { class: "lb-tools" }, axes, scale, save), legend, plots, table);
    const notes = el("details", { class: "lb-notes", hidden: true }); table.after(notes);
    const changes = el("p", { class: "lb-hint lb-changes", role: "status" }), take_along = L.exportBar(root);
    plots.after(changes);
    root.append(inside);

    const loss = new L.Plot(plots, { title: LOSS_TITLE, yLabel: "loss", yLog: true, xMin: 0, empty: "Nothing yet: press the start button." });
    const acc = new L.Plot(plots, { title: "Test accuracy", yLabel: "share correct", yMax: 1, cut: false, xMin: 0, empty: "Nothing yet: press the start button." });
    const len = new L.Plot(inside, { title: "Inside SOFIM: how long a step is, given the momentum norm ‖M̂‖", xLabel: "momentum norm ‖M̂‖", yLabel: "step length ‖Δw‖", xLog: true, yLog: true, height: 220, empty: "Appears when a SOFIM method runs." });
    const words = el("p", { class: "lb-hint" }); inside.append(words);

    let xAxis = "step", data = fresh(), stop = () => {};
    function fresh() { return { meta: null, lanes: new Map(), changed: [], targets: {}, rows: [], inside: {}, step: 0 }; }

    save.onclick = () => L.savePng([loss.canvas, acc.canvas], "lightbox-sofim-race.png", `Lightbox · SOFIM race · ${data.meta ? data.meta.title || data.meta.task : ""} · ${new Date().toISOString().slice(0, 16).replace("T", " ")} · research use only`);

    const arm = (id) => (data.meta ? data.meta.arms.find((a) => a.id === id) : null) || { id, label: id, colour: 6 };
    const split = (lane) => { const k = lane.lastIndexOf("#"); return [lane.slice(0, k), lane.slice(k + 1)]; };
    const lane = (id) => {
      if (!data.lanes.has(id)) {
        const [a, seed] = split(id), first = !data.meta || String(data.meta.seeds[0]) === seed, look = { label: arm(a).label + (first ? "" : ` (seed ${seed})`), colour: arm(a).colour, faint: !first };
        data.lanes.set(id, { look, points: { step: [], seconds: [], words: [], smooth: [] }, evals: { step: [], seconds: [], words: [], test_accuracy: [] } });
        loss.line(id, look); acc.line(id, look);
      }
      return data.lanes.get(id);
    };
    const redraw = () => {
      root.dataset.axis = xAxis;
      for (const p of [loss, acc]) { p.clear(); p.opts.xLabel = X_AXES[xAxis][1]; }
      for (const [id, l] of data.lanes) { const off = data.hidden && data.hidden.has(split(id)[0]); loss.line(id, { ...l.look, hidden: off }); acc.line(id, { ...l.look, hidden: off }); loss.append(id, l.points[xAxis], l.points.smooth); acc.append(id, l.evals[xAxis], l.evals.test_accuracy); }
      marks();
    };
    const marks = () => {
      const t = (data.meta && data.meta.targets) || {};
      loss.marks = t.train_loss ? [{ y: t.train_loss, label: `target ${L.num(t.train_loss)}` }] : [];
      acc.marks = t.test_accuracy ? [{ y: t.test_accuracy, label: `target ${L.num(t.test_accuracy)}` }] : [];
      if (xAxis === "step") for (const c of data.changed) loss.marks.push({ x: c.step, colour: arm(c.arm).colour, label: `${arm(c.arm).label}: ${c.name} → ${L.num(c.value)}` });
      loss.later(); acc.later();
    };
    const drawNotes = () => {
      const known = data.meta.arms.filter((a) => a.note); notes.hidden = !known.length;
      notes.replaceChildren(el("summary", {}, "What each of them is, and what its step sees"), el("dl", {}, ...known.flatMap((a) => [el("dt", {}, a.label), el("dd", {}, a.note)])));
    };
    const drawLegend = () => {
      drawNotes();
      data.hidden = data.hidden || new Set();
      legend.replaceChildren(...data.meta.arms.map((a) => {
        const swatch = el("canvas", { width: 26, height: 8, "aria-hidden": "true" }), g = swatch.getContext("2d");
        const paint = () => { g.clearRect(0, 0, 26, 8); g.strokeStyle = L.colour(a.colour); g.lineWidth = 2.5; g.setLineDash(L.dash(a.colour)); g.beginPath(); g.moveTo(0, 4); g.lineTo(26, 4); g.stroke(); };
        paint(); L.onTheme(paint);
        const b = el("button", { type: "button", "aria-pressed": "true", title: a.note || "" }, swatch, ` ${a.label}`);
        b.onclick = () => { data.hidden.has(a.id) ? data.hidden.delete(a.id) : data.hidden.add(a.id); b.setAttribute("aria-pressed", String(!data.hidden.has(a.id))); redraw(); };
        return b;
      }));
    };

    const drawInside = () => {
      const lanes = Object.entries(data.inside).filter(([id]) => !data.meta || split(id)[1] === String(data.meta.seeds[0]));
      inside.hidden = !lanes.length; if (!lanes.length) return;
      len.clear(); len.marks = [];
      for (const [id, s] of lanes) {
        const look = lane(id).look, lo = Math.log10(Math.min(s.norm || 1, Math.sqrt(s.rho)) / 30), hi = Math.log10(Math.max(s.norm || 1, Math.sqrt(s.rho)) * 30), xs = [], ys = [];
        for (let i = 0; i <= 120; i += 1) { const v = 10 ** (lo + ((hi - lo) * i) / 120); xs.push(v); ys.push((s.lr * v) / (s.rho + v * v)); }
        len.line(id, look); len.append(id, xs, ys); len.marks.push({ x: Math.sqrt(s.rho), label: "√ρ", colour: look.colour });
      }
      len.opts.after = (g, X, Y) => { for (const [id, s] of lanes) { if (!(s.norm > 0)) continue; g.fillStyle = L.colour(lane(id).look.colour); g.strokeStyle = L.css("--background-fill-primary"); g.lineWidth = 2; g.beginPath(); g.arc(X(s.norm), Y((s.lr * s.norm) / (s.rho + s.norm * s.norm)), 6, 0, 7); g.fill(); g.stroke(); } };
      len.later();
      const [id, s] = lanes[0];
      words.textContent = `${lane(id).look.label}: ‖M̂‖ = ${L.num(s.norm)}, √ρ = ${L.num(Math.sqrt(s.rho))}, so the effective rate η/(ρ+‖M̂‖²) is ${L.num(s.eta_eff)}. ${s.norm > Math.sqrt(s.rho) ? "Right of √ρ a larger gradient makes a shorter step." : "Left of √ρ a larger gradient makes a longer step, as in ordinary momentum."} ${L.num(100 * (s.shrinking || 0))} % of the steps so far lay right of √ρ.`;
    };

    const drawTable = () => {
      if (!data.rows.length) { table.replaceChildren(); return; }
      const t = (data.meta && data.meta.targets) || {}, many = data.meta && data.meta.seeds.length > 1;
      const goals = Object.entries(t).filter(([, v]) => v !== null && v !== undefined), names = { train_loss: "train loss", test_loss: "test loss", test_accuracy: "test accuracy" };
      const head = el("tr", {}, ...["Method", many ? "Test accuracy, median (best)" : "Test accuracy", many ? "Test loss, median (best)" : "Test loss", ...goals.map(([k, v]) => `To ${names[k] || k} ${L.num(v)}`), "Diverged"].map((h) => el("th", { scope: "col" }, h)));
      const rows = data.rows.map((r) => {
        const dot = el("i", { class: "lb-dot" }); dot.style.background = L.colour(arm(r.arm).colour);
        const pair = (a, b) => (many && b !== undefined && b !== null ? `${L.num(a)} (${L.num(b)})` : L.num(a));
        const to = goals.map(([k]) => { const g = (r.targets || {})[k]; return el("td", {}, g && g.reached ? `${L.num(g.steps, 4)} steps · ${L.seconds(g.seconds)}${many ? ` (${g.reached} of ${r.n})` : ""}` : "not reached"); });
        return el("tr", {}, el("th", { scope: "row" }, dot, ` ${r.label || arm(r.arm).label}`), el("td", {}, pair(r.median_accuracy, r.best_accuracy)), el("td", {}, pair(r.median_loss, r.best_loss)), ...to, el("td", { class: r.diverged ? "lb-bad" : null }, `${r.diverged} of ${r.n}`));
      });
      table.replaceChildren(el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
    };

    const take = {
      meta: (e) => { data.meta = e; loss.title(e.loss_title || LOSS_TITLE); redraw(); drawLegend(); },
      points: (e) => { for (const [id, p] of Object.entries(e.lanes)) { const l = lane(id), d = l.points; for (const k of ["step", "seconds", "words", "smooth"]) d[k].push(...p[k]); loss.append(id, p[xAxis], p.smooth); data.step = Math.max(data.step, p.step[p.step.length - 1] || 0); } },
      eval: (e) => { for (const [id, p] of Object.entries(e.lanes)) { const l = lane(id), d = l.evals; for (const k of ["step", "seconds", "words", "test_accuracy"]) d[k].push(p[k]); acc.append(id, [p[xAxis]], [p.test_accuracy]); } },
      inside: (e) => { Object.assign(data.inside, e.lanes); drawInside(); },
      diverged: (e) => { const l = lane(e.lane); l.look.end = "×"; loss.line(e.lane, l.look); strip.say(`${l.look.label} diverged at step ${e.step}: ${e.why}`); },
      changed: (e) => { data.changed.push(e); marks(); root.dataset.changes = data.changed.length; changes.textContent = "Turned in flight: " + data.changed.map((c) => `${arm(c.arm).label} ${c.name} → ${L.num(c.value)} at step ${c.step}`).join("; "); },
      table: (e) => { data.rows = e.rows; drawTable(); },
      refused: (e) => strip.say(e.why),
      result: (e) => { data.files = e.files; },
      state: (e) => { data.paused = e.state === "paused"; show({ state: "running" }); },
    };
    const events = (list) => { for (const e of list) (take[e.kind] || (() => {}))(e); if (data.meta) strip.progress(data.step / data.meta.steps); root.dataset.step = data.step; };
    const about = () => (data.meta ? `${data.meta.title || data.meta.task}: step ${data.step} of ${data.meta.steps} · ${L.num(data.meta.parameters)} weights · ${data.meta.device}` : "Getting ready: loading data and networks …");
    const show = (job, text) => strip.show(data.paused && job.state === "running" ? { ...job, state: "paused" } : job, text || about());

    let last = null;
    const follow = (job) => {
      stop(); data = fresh(); root.dataset.step = 0; loss.title(LOSS_TITLE); loss.opts.empty = acc.opts.empty = "Starting …"; loss.clear(); acc.clear(); inside.hidden = true; table.replaceChildren(); legend.replaceChildren(); notes.hidden = true; strip.progress(0); take_along.clear(); changes.textContent = ""; delete root.dataset.changes; last = null;
      stop = L.follow(job.id, { onEvents: events, onState: (j) => { show(j); if (L.ended(j.state) && last !== j.state) { last = j.state; if (data.files && j.state !== "failed") take_along.show(j.id, data.files); trigger("ended", { state: j.state, id: j.id }); } } });
    };
    const recorded = () => { if (!props.recorded || !props.recorded.events) return; data = fresh(); events(props.recorded.events); show({ state: "recorded" }, props.recorded.note); drawInside(); };
    watch("job", () => { if (props.job && props.job.id) follow(props.job); });
    L.onTheme(() => { drawTable(); });
    inside.hidden = true; redraw();
    props.job && props.job.id ? follow(props.job) : recorded();
  };
})();
