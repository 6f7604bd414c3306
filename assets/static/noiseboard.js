/* The board of a training on labels that may be wrong: the losses' histogram with its two Gaussians and a line to drag, an epoch slider, curves, the list of suspects.
   props.job = {id}: a run that is followed. props.recorded = {title, note, warmup, structures, truth, epochs, ranked}: one that is over.
   Fires `chosen` with {index} for a suspect, `opened` when it is first drawn (props.asks), `ended` when a job has ended. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el, M = { left: 46, right: 12, top: 10, bottom: 38 }, HEIGHT = 250;
  const percent = (v) => (v === null || v === undefined ? "–" : `${(100 * v).toFixed(0)} %`), three = (v) => (v === null || v === undefined ? "–" : v.toFixed(3));
  const density = (x, m, s) => Math.exp(-0.5 * ((x - m) / s) ** 2) / (s * Math.sqrt(2 * Math.PI));

  /* The Gaussians of a level at a loss, as bars: [clean, noisy]. */
  const gaussians = (level, loss) => {
    const f = level.fit; if (!f) return null;
    const n = level.right.reduce((a, b) => a + b, 0) + level.wrong.reduce((a, b) => a + b, 0), spread = Math.max(f.high - f.low, 1e-12), scale = ((n / level.right.length) * (level.high - level.low)) / spread;
    return f.means.map((m, k) => scale * f.weights[k] * density((loss - f.low) / spread, m, Math.max(f.sds[k], 1e-4)));
  };
  /* Where the method itself draws the line: the first loss at which the noisy Gaussian is the likelier one. */
  const ownLine = (level) => {
    const f = level.fit; if (!f || !f.noise) return null;
    for (let i = 0; i <= 400; i += 1) { const x = level.low + ((level.high - level.low) * i) / 400, g = gaussians(level, x); if ((x - f.low) / Math.max(f.high - f.low, 1e-12) > f.means[0] && g[1] > g[0]) return x; }
    return null;
  };
  /* Precision and recall of calling everything above the line wrong, to a bar's width. */
  const atLine = (level, line) => {
    const width = (level.high - level.low) / level.right.length, above = level.right.map((_, i) => level.low + i * width >= line - 1e-9), sum = (list) => list.reduce((a, v, i) => a + (above[i] ? v : 0), 0);
    const hits = sum(level.wrong), alarms = sum(level.right), all = level.wrong.reduce((a, b) => a + b, 0);
    return { called: hits + alarms, precision: hits + alarms ? hits / (hits + alarms) : null, recall: all ? hits / all : null };
  };

  function histogram(parent, moved) {
    const canvas = el("canvas", { class: "lb-canvas", role: "slider", tabindex: "0", "aria-label": "Line between clean and noisy", "aria-valuemin": "0", "aria-valuemax": "1", "aria-valuenow": "0" });
    parent.append(canvas);
    let level = null, line = null, truth = true, dragging = false;
    const at = (px) => level.low + ((px - M.left) / (canvas.clientWidth - M.left - M.right)) * (level.high - level.low);
    const set = (v) => { line = Math.min(level.high, Math.max(level.low, v)); draw(); moved(line); };
    canvas.onpointerdown = (e) => { if (!level) return; dragging = true; canvas.setPointerCapture(e.pointerId); set(at(e.offsetX)); };
    canvas.onpointermove = (e) => { if (dragging) set(at(e.offsetX)); };
    canvas.onpointerup = canvas.onpointercancel = () => { dragging = false; };
    canvas.onkeydown = (e) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[e.key];
      if (!step || !level) return;
      set((line ?? ownLine(level) ?? (level.low + level.high) / 2) + (step * (level.high - level.low)) / 96); e.preventDefault();
    };
    function draw() {
      const w = canvas.clientWidth, dpr = window.devicePixelRatio || 1; if (!w) return;
      canvas.style.height = `${HEIGHT}px`; canvas.width = Math.round(w * dpr); canvas.height = Math.round(HEIGHT * dpr);
      const g = canvas.getContext("2d"), ink = L.css("--body-text-color-subdued"); g.setTransform(dpr, 0, 0, dpr, 0, 0); g.clearRect(0, 0, w, HEIGHT); g.font = `12px ${L.css("--font") || "sans-serif"}`;
      if (!level) { g.fillStyle = ink; g.textAlign = "center"; g.fillText("No losses have been looked at yet.", w / 2, HEIGHT / 2); return; }
      const bins = level.right.length, wide = w - M.left - M.right, high = HEIGHT - M.top - M.bottom, X = (v) => M.left + ((v - level.low) / Math.max(level.high - level.low, 1e-12)) * wide;
      const top = Math.max(1, ...level.right.map((v, i) => v + level.wrong[i])) * 1.08, Y = (v) => M.top + high * (1 - Math.min(v, top) / top);
      level.right.forEach((v, i) => {
        const x = M.left + (i * wide) / bins + 0.5, width = wide / bins - 1, bad = level.wrong[i];
        g.fillStyle = truth ? L.colour(0) : ink; g.globalAlpha = 0.75; g.fillRect(x, Y(v), width, Y(0) - Y(v));
        if (bad) { g.fillStyle = L.colour(1); g.fillRect(x, Y(v + bad), width, Y(v) - Y(v + bad)); }
      });
      g.globalAlpha = 1;
      if (level.fit) for (const k of [0, 1]) {
        g.strokeStyle = L.css("--body-text-color"); g.lineWidth = 2; g.setLineDash(k ? [6, 4] : []); g.beginPath();
        for (let i = 0; i <= 240; i += 1) { const v = level.low + ((level.high - level.low) * i) / 240, y = Y(gaussians(level, v)[k]); i ? g.lineTo(X(v), y) : g.moveTo(X(v), y); }
        g.stroke();
      }
      g.setLineDash([]); g.strokeStyle = g.fillStyle = ink; g.lineWidth = 1; g.beginPath(); g.moveTo(M.left, Y(0)); g.lineTo(w - M.right, Y(0)); g.stroke();
      g.textAlign = "center"; g.textBaseline = "top"; for (let i = 0; i <= 4; i += 1) { const v = level.low + ((level.high - level.low) * i) / 4; g.fillText(L.num(v, 2), Math.min(w - 16, X(v)), Y(0) + 5); }
      g.fillText(level.axis, M.left + wide / 2, HEIGHT - 15);
      g.textAlign = "right"; g.textBaseline = "middle"; for (const v of [0, top / 2, top / 1.08]) g.fillText(L.num(Math.round(v)), M.left - 5, Y(v));
      const own = ownLine(level), shown = line ?? own;
      if (shown !== null) {
        const x = X(shown); g.strokeStyle = L.css("--body-text-color"); g.lineWidth = 2; g.beginPath(); g.moveTo(x, M.top); g.lineTo(x, Y(0)); g.stroke();
        g.fillStyle = L.css("--body-text-color"); g.beginPath(); g.moveTo(x - 7, M.top - 2); g.lineTo(x + 7, M.top - 2); g.lineTo(x, M.top + 9); g.fill();
      }
      canvas.setAttribute("aria-valuemin", level.low.toFixed(3)); canvas.setAttribute("aria-valuemax", level.high.toFixed(3)); canvas.setAttribute("aria-valuenow", (shown ?? level.low).toFixed(3));
      canvas.setAttribute("aria-valuetext", shown === null ? "No line: no noise was detected" : `Labels with a loss above ${L.num(shown)} are called wrong`);
    }
    new ResizeObserver(draw).observe(canvas); L.onTheme(draw);
    return { show(now, knows, chosen) { level = now; truth = knows; line = chosen; draw(); } };
  }

  L.noiseBoard = (element, props, watch, trigger) => {
    const root = el("div", { class: "lb-noise" }); element.replaceChildren(root);
    const strip = L.statusStrip(root), note = el("p", { class: "lb-hint" }), levels = el("div", {}), words = el("p", { class: "lb-digest", role: "status" }), keys = el("p", { class: "lb-hint lb-keys" });
    const range = el("input", { type: "range", min: 1, max: 1, step: 1, value: 1, "aria-label": "Epoch" }), epochText = el("output", {}), play = el("button", { type: "button", class: "lb-small" }, "Play"), back = el("button", { type: "button", class: "lb-small", hidden: true }, "Back to the method's line");
    const left = el("div", {}), right = el("div", {}), lists = el("div", {});
    const two = el("div", { class: "lb-noise-two", hidden: true }); two.append(left, right); root.append(note, two, lists);
    left.append(levels); const chart = histogram(left, (v) => { line = v; say(); });
    left.append(keys, el("div", { class: "lb-tools lb-noise-time" }, play, el("label", {}, "Epoch ", range), epochText, back), words);
    const dice = new L.Plot(right, { title: "Overlap with the truth (Dice)", xLabel: "epoch", yLabel: "Dice", yMax: 1, cut: false, xMin: 0, height: 210 }), found = new L.Plot(right, { title: "How well wrong labels are told apart (AUROC)", xLabel: "epoch", yLabel: "AUROC", yMax: 1, yMin: 0.5, cut: false, xMin: 0, height: 190 }), loss = new L.Plot(right, { title: "Training loss", xLabel: "epoch", yLabel: "loss", xMin: 0, height: 200 });
    const files = L.exportBar(root);
    let meta = {}, epochs = [], ranked = [], place = 0, level = "pictures", line = null, playing = null, stop = () => {}, listed = 12;

    const truth = () => meta.truth !== false;
    const now = () => epochs[place] || null;
    const ofLevel = (e) => (!e || !e.pictures ? null : level === "pictures" ? { ...e.pictures, axis: "1 − Dice of network and label, picture by picture" } : e.pixels && e.pixels[+level] ? { ...e.pixels[+level], axis: "loss of single pixels (−log of the label's probability)" } : null);
    const choices = () => [["pictures", "Pictures"], ...(((epochs.find((e) => e.pixels) || {}).pixels) || []).map((_, k) => [String(k), k ? `Pixels labelled ${(meta.structures || [])[k - 1] || "structure"}` : "Pixels labelled nothing"])];
    let told = "";
    const levelButtons = () => { const all = choices(), key = JSON.stringify(all); if (key === told) return; told = key; levels.replaceChildren(L.segment("What is looked at", all, level, (one) => { level = one; line = null; show(); })); };
    function say() {
      const e = now(), l = ofLevel(e); back.hidden = line === null;
      root.dataset.epoch = e ? e.epoch : ""; root.dataset.epochs = epochs.length; root.dataset.line = line === null ? "own" : line.toFixed(4);
      if (!l) { words.textContent = e ? "No losses were looked at in this epoch." : ""; return; }
      const what = level === "pictures" ? "labels of pictures" : "pixels", at = line === null ? { called: l.flagged, precision: l.precision, recall: l.recall } : atLine(l, line);
      const start = line === null ? (l.fit && l.fit.noise ? `The method calls ${at.called} of ${l.n} ${what} wrong.` : `No noise counts as detected${l.fit && l.fit.why ? `: ${l.fit.why}` : ""}.`) : `Above your line lie ${at.called} of ${l.n} ${what}.`;
      const known = truth() ? ` Precision ${percent(at.precision)} (of those, truly wrong), recall ${percent(at.recall)} (of the wrong ones, found)${line === null ? "" : ", to a bar's width"}. AUROC ${three(l.auroc)} (0.5: guessing, 1: every wrong label above every right one).` : " Nobody knows here which labels are wrong, so nothing can be counted.";
      words.textContent = start + known; root.dataset.precision = at.precision ?? ""; root.dataset.recall = at.recall ?? "";
    }
    function show() {
      two.hidden = !epochs.length;
      levelButtons();
      range.max = Math.max(1, epochs.length); range.value = place + 1; range.disabled = play.disabled = epochs.length < 2;
      const e = now(), warm = meta.warmup || 0; epochText.textContent = e ? `${e.epoch} of ${meta.epochs || epochs.length}${e.epoch < warm ? ", warm-up: labels as given" : e.cleansing === false ? ", labels as given" : ""}` : "–";
      const dot = (k, text) => { const i = el("i", { class: "lb-dot" }); i.style.background = k === null ? L.css("--body-text-color-subdued") : L.colour(k); return el("span", {}, i, ` ${text} `); };
      keys.replaceChildren(...(truth() ? [dot(0, "label is right"), dot(1, "label is wrong (planted, so it is known)")] : [dot(null, "labels")]), el("span", {}, " Curves: the two Gaussians, full for clean, dashed for noisy. Drag the line, or move it with the arrow keys."));
      chart.show(ofLevel(e), truth(), line); say();
      for (const plot of [dice, found, loss]) { plot.marks = [...(warm ? [{ x: warm, label: "end of warm-up" }] : []), ...(e && epochs.length > 1 ? [{ x: e.epoch }] : [])]; plot.later(); }
      list();
    }
    const LINES = [[dice, "test", "network on test pictures", 0, (e) => e.test], [dice, "after", "training labels after cleansing", 2, (e) => e.labels && e.labels.dice_after], [dice, "before", "training labels as given", 1, (e) => e.labels && e.labels.dice_before], [found, "pictures", "pictures", 0, (e) => e.pictures && e.pictures.auroc], [found, "pixels", "pixels", 2, (e) => e.pixel_level && e.pixel_level.auroc], [loss, "loss", "training loss", 0, (e) => e.loss]];
    const grow = (list) => { for (const [plot, id, label, colour, read] of LINES) for (const e of list) { const v = read(e); if (v !== null && v !== undefined) { plot.line(id, { label, colour }); plot.append(id, [e.epoch], [v]); } } dice.root.hidden = found.root.hidden = !truth(); loss.root.hidden = truth(); };
    function list() {
      const e = now(), rows = (e && e.ranked && e.ranked.length ? e.ranked : ranked) || [], key = JSON.stringify([rows.slice(0, listed), listed]);
      if (lists.dataset.key === key) return;
      lists.dataset.key = key; lists.hidden = !rows.length; lists.replaceChildren(); if (!rows.length) return;
      const line_ = (one, i) => {
        const look = props.looks === false ? null : el("button", { type: "button", class: "lb-small", "data-index": one.index, "aria-label": `Look at picture ${one.index}` }, "Look"); if (look) look.onclick = () => trigger("chosen", { index: one.index });
        return el("tr", {}, el("th", { scope: "row" }, String(i + 1)), ...(look ? [el("td", {}, look)] : []), el("td", {}, one.name || `picture ${one.index}`), el("td", {}, percent(one.noisy)), el("td", {}, three(one.s)), el("td", {}, one.flips ? `${one.flips} pixels` : "none"), ...(truth() ? [el("td", {}, one.corrupted === null || one.corrupted === undefined ? "–" : el("span", { class: one.corrupted ? "lb-good" : "lb-bad" }, one.corrupted ? "truly wrong" : "is right"))] : []));
      };
      const more = el("button", { type: "button", class: "lb-small", hidden: rows.length <= listed }, "Show more"); more.onclick = () => { listed += 28; list(); };
      const head = ["", ...(props.looks === false ? [] : [""]), "Training picture", "Noisy", "1 − Dice", "Proposed change", ...(truth() ? ["Planted truth"] : [])];
      lists.append(el("p", { class: "lb-chart-title" }, "Please re-check these labels: the most suspicious first"), el("div", { class: "lb-table", tabindex: "0", role: "region", "aria-label": "Suspected labels" }, el("table", {}, el("thead", {}, el("tr", {}, ...head.map((h) => el("th", { scope: "col" }, h)))), el("tbody", {}, ...rows.slice(0, listed).map(line_)))), more);
    }
    const reset = () => { stop(); halt(); epochs = []; ranked = []; place = 0; line = null; listed = 12; told = ""; level = "pictures"; for (const plot of [dice, found, loss]) plot.clear(); files.clear(); delete lists.dataset.key; };
    const halt = () => { clearInterval(playing); playing = null; play.textContent = "Play"; };
    play.onclick = () => { if (playing) { halt(); return; } if (place >= epochs.length - 1) place = -1; play.textContent = "Pause"; playing = setInterval(() => { place += 1; show(); if (place >= epochs.length - 1) halt(); }, 600); };
    range.oninput = () => { halt(); place = Math.min(epochs.length, +range.value) - 1; show(); };
    back.onclick = () => { line = null; show(); };

    const recorded = () => {
      const r = props.recorded; if (!r || !r.epochs) return;
      reset(); meta = { ...r, epochs: r.epochs.length }; epochs = r.epochs; ranked = r.ranked || []; place = Math.max(0, epochs.length - 1); grow(epochs);
      note.textContent = r.note || ""; strip.show({ state: "recorded" }, r.title || ""); show();
    };
    const take = {
      meta: (e) => { meta = { truth: false, ...e }; const says = [e.note, ...(e.notes || [])].filter(Boolean); note.textContent = says.join(" "); grow([]); },
      step: (e) => { strip.progress(e.fraction); meta.left = e.left_s; },
      epoch: (e) => { const last = place >= epochs.length - 1; epochs.push(e); if (last) place = epochs.length - 1; grow([e]); strip.progress(e.epoch / e.epochs); if (e.left_s !== undefined) meta.left = e.left_s; },
      result: (e) => { meta.files = e.files; if (e.ranking) ranked = e.ranking; meta.why = e.why; meta.found = e.noise; },
    };
    const follow = () => {
      if (!props.job || !props.job.id) return;
      reset(); meta = {}; note.textContent = ""; strip.progress(0); show(); let last = null;
      stop = L.follow(props.job.id, {
        onEvents: (list_) => { for (const e of list_) (take[e.kind] || (() => {}))(e); show(); },
        onState: (j) => {
          const over = L.ended(j.state), done = j.state === "done" ? props.done || "" : "", saw = meta.found === false ? ` No noise counts as detected: ${meta.why}.` : "";
          strip.show(j, over ? done + saw : epochs.length ? `Epoch ${epochs.length} of ${meta.epochs}${meta.left ? `; about ${L.seconds(meta.left)} left` : ""}` : "Getting ready: making pictures and planting errors …");
          if (over && last !== j.state) { last = j.state; if (j.state === "done") strip.progress(1); if (meta.files && Object.keys(meta.files).length) files.show(j.id, meta.files); trigger("ended", { state: j.state, id: j.id }); }
        },
      });
    };
    watch("job", follow); watch("recorded", recorded); L.onTheme(show);
    if (props.empty) note.textContent = props.empty;
    props.job && props.job.id ? follow() : props.recorded && props.recorded.epochs ? recorded() : show();
    if (props.asks) trigger("opened");
  };

  /* Plain curves from numbers. props.data = {title, xLabel, yLabel, yMin, yMax, lines: [{id, label, colour, faint, x, y}], marks: [{x, label}], empty} */
  L.curves = (element, props, watch, trigger) => {
    const root = el("div", {}), legend = el("div", { class: "lb-legend lb-keys" }); element.replaceChildren(root);
    const draw = () => {
      const d = props.data || {}; root.replaceChildren(legend);
      const plot = new L.Plot(root, { title: d.title || "", xLabel: d.xLabel, yLabel: d.yLabel, yMin: d.yMin, yMax: d.yMax, cut: false, xMin: 0, height: 260, empty: d.empty || "Nothing yet." });
      for (const one of d.lines || []) { plot.line(one.id, { label: one.label, colour: one.colour, faint: one.faint }); plot.append(one.id, one.x, one.y); }
      plot.marks = d.marks || []; plot.later();
      legend.replaceChildren(...(d.lines || []).filter((one) => !one.faint).map((one) => { const dot = el("i", { class: "lb-dot" }); dot.style.background = L.colour(one.colour); return el("span", {}, dot, ` ${one.label}`); }));
    };
    watch("data", draw); L.onTheme(draw); draw(); if (props.asks) trigger("opened");
  };
})();
