/* The board of a training: status, loss curves, held-out scores with their intervals, files to take away. props.job = {id}.
   Events it knows: meta {arms: [{id, label}], classes, notes, about}, points {arm, fold, step, loss, left_s}, metric {arm, step, test, with_cue}, progress {step, steps, text, loss}, scores {arms}, result {files, scores | metrics}. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el, percent = (v) => `${(100 * v).toFixed(1)} %`, MEASURES = { test: "without the sign", with_cue: "with the sign" };

  L.trainBoard = (element, props, watch, trigger) => {
    const root = el("div", { class: "lb-train" }); element.replaceChildren(root);
    const strip = L.statusStrip(root), plots = el("div", {}), legend = el("div", { class: "lb-legend lb-keys" }), scores = el("div", { class: "lb-table", role: "region", tabindex: "0", "aria-label": "Held-out accuracy", hidden: true }), notes = el("div", {});
    root.append(legend, plots, scores, notes);
    const files_bar = L.exportBar(root), loss = new L.Plot(plots, { title: "Training loss", xLabel: "optimiser steps", yLabel: "loss", xMin: 0, height: 240, empty: props.empty || "Nothing yet: press the start button." });
    const shares = new L.Plot(plots, { title: "Accuracy on held-out pictures", xLabel: "optimiser steps", yLabel: "share correct", yMax: 1, cut: false, xMin: 0, height: 240 });
    plots.hidden = shares.root.hidden = true;
    let data = fresh(), stop = () => {}, last = null;
    function fresh() { return { meta: null, lines: new Map(), total: 0, done: 0, text: "", files: null, left: null }; }

    const colour = (arm) => (props.colours && props.colours[arm] !== undefined ? props.colours[arm] : 0), label = (arm) => ((data.meta && data.meta.arms) || []).find((a) => a.id === arm)?.label || arm;
    /* parts left out in turn (cross-validation), or one held-out part; a training says which by naming its folds */
    const turn = (fold) => (fold ? `, part ${fold} left out` : data.meta && data.meta.folds ? ", all pictures" : "");
    const line = (arm, fold) => {
      const id = `${arm}#${fold}`;
      if (!data.lines.has(id)) { data.lines.set(id, true); loss.line(id, { label: `${label(arm)}${turn(fold)}`, colour: colour(arm), faint: fold > 0 }); }
      return id;
    };
    const table = (rows, head) => { scores.hidden = !rows.length; scores.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...head.map((h) => el("th", { scope: "col" }, h)))), el("tbody", {}, ...rows))); };
    const shown = (m) => `${percent(m.value)} (${percent(m.low)} to ${percent(m.high)})`;
    const accuracies = (e) => table(Object.entries(e.arms).map(([arm, m]) => el("tr", { "data-arm": arm }, el("th", { scope: "row" }, label(arm)), el("td", {}, shown(m)), el("td", {}, String(m.n)))), ["Method", "Held-out accuracy (95 % interval)", "Pictures asked"]);
    const digits = (v) => (Math.abs(v) >= 10 ? v.toFixed(1) : v.toPrecision(2));
    const measured = (m) => (m.unit ? `${digits(m.value)} ${m.unit} (${digits(m.low)} to ${digits(m.high)})` : shown(m)) + `, n = ${m.n}`;
    const keys = () => {
      const arms = (data.meta && data.meta.arms) || [];
      legend.replaceChildren(...arms.map((a) => { const dot = el("i", { class: "lb-dot" }); dot.style.background = L.colour(colour(a.id)); return el("span", {}, dot, ` ${a.label}`); }), shares.root.hidden ? "" : el("span", {}, "thick: without the sign, thin: with it"));
    };
    const take = {
      meta: (e) => {
        data.meta = e; plots.hidden = false; keys();
        const says = [...(e.about ? [e.about] : []), ...(e.classes ? [`${e.classes.map((c) => `${c.name} (${c.n})`).join(", ")}${e.folds ? `; ${e.folds} parts, each left out once` : e.n_test !== undefined ? `; ${e.n_train} to learn from, ${e.n_test} held out` : ""}.`] : []), ...(e.notes || [])];
        notes.replaceChildren(...says.map((s) => el("p", { class: "lb-hint" }, s)));
      },
      points: (e) => { loss.append(line(e.arm, e.fold), e.step, e.loss); data.done += e.step.length; data.left = e.left_s; data.text = `${label(e.arm)}${turn(e.fold)}`; },
      metric: (e) => {
        if (shares.root.hidden) { shares.root.hidden = false; keys(); }
        for (const [name, value] of Object.entries(e)) {
          if (!MEASURES[name]) continue; // the record of a run adds numbers of its own
          const id = `${e.arm || ""}#${name}`; shares.line(id, { label: [label(e.arm || ""), MEASURES[name]].filter(Boolean).join(", "), colour: colour(e.arm), faint: name !== "test" }); shares.append(id, [e.step], [value]);
        }
      },
      progress: (e) => { if (e.loss !== null && e.loss !== undefined) loss.append(line("progress", 0), [e.step], [e.loss]); data.text = e.text || ""; data.share = e.steps ? e.step / e.steps : null; },
      scores: (e) => {
        if (e.left_s !== undefined) data.left = e.left_s;
        const names = (data.meta && data.meta.measures) || null;
        if (!names) return accuracies(e);
        const told = Object.keys(names).filter((name) => Object.values(e.arms).some((found) => found[name]));
        table(Object.entries(e.arms).map(([arm, found]) => el("tr", { "data-arm": arm }, el("th", { scope: "row" }, label(arm)), ...told.map((name) => el("td", {}, found[name] ? measured(found[name]) : "–")))), ["Network", ...told.map((name) => names[name])]);
      },
      result: (e) => { data.files = e.files; if (e.metrics && Object.keys(e.metrics).length) table(Object.entries(e.metrics).map(([name, m]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, shown(m)), el("td", {}, String(m.n)))), ["Number", "Value (95 % interval)", "n"]); },
    };
    const all = () => (data.meta && data.meta.arms && data.meta.steps ? (data.meta.folds ? (data.meta.arms.length - 1) * (data.meta.folds + 1) : data.meta.arms.length) * data.meta.steps : 0);
    const events = (list) => { for (const e of list) (take[e.kind] || (() => {}))(e); const share = data.share ?? (all() ? data.done / all() : null); if (share !== null) strip.progress(share); root.dataset.steps = data.done; };
    const about = (job) => (L.ended(job.state) ? (job.state === "done" ? props.done || "" : "") : data.meta ? `${data.text}${data.left ? `; about ${L.seconds(data.left)} left` : ""}` : "Getting ready: reading the pictures, loading the network …");
    const follow = () => {
      if (!props.job || !props.job.id) return;
      stop(); data = fresh(); last = null; loss.clear(); shares.clear(); shares.root.hidden = true; scores.hidden = true; notes.replaceChildren(); legend.replaceChildren(); files_bar.clear(); plots.hidden = true; strip.progress(0);
      stop = L.follow(props.job.id, { onEvents: events, onState: (j) => { strip.show(j, about(j)); if (L.ended(j.state) && last !== j.state) { last = j.state; if (j.state === "done") strip.progress(1); if (data.files && Object.keys(data.files).length && j.state !== "failed") files_bar.show(j.id, data.files); trigger("ended", { state: j.state, id: j.id }); } } });
    };
    watch("job", follow); L.onTheme(keys); follow();
  };
})();
