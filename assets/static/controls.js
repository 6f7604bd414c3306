/* Small controls that Gradio lacks. The value belongs to the browser; Python hears of it on release, never on every pixel. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el;

  /* A slider over powers of ten with a number beside it. props: {label, info, low, high, start, steps}. Fires "released". */
  L.logSlider = (element, props, watch, trigger) => {
    const lo = Math.log10(props.low), hi = Math.log10(props.high), round = (v) => +v.toPrecision(2), id = `lb-${Math.random().toString(36).slice(2)}`;
    const number = el("input", { type: "number", min: props.low, max: props.high, step: "any", value: props.start, "aria-label": `${props.label}, as a number` });
    const range = el("input", { type: "range", id, min: lo, max: hi, step: (hi - lo) / 200, value: Math.log10(props.start), "aria-describedby": `${id}-info` });
    element.replaceChildren(el("div", { class: "lb-log" }, el("div", { class: "lb-log-head" }, el("label", { for: id }, props.label), number), range, el("div", { class: "lb-log-ends" }, el("span", {}, L.num(props.low)), el("span", {}, L.num(props.high))), el("p", { id: `${id}-info` }, props.info)));
    const told = () => range.setAttribute("aria-valuetext", number.value);
    const set = (v, quiet) => { const x = Math.min(props.high, Math.max(props.low, v)); number.value = x; range.value = Math.log10(x); told(); if (props.value !== x) props.value = x; if (!quiet) trigger("released"); };
    range.oninput = () => { number.value = round(10 ** +range.value); told(); };
    range.onchange = () => set(round(10 ** +range.value));
    number.onchange = () => { const v = Number(number.value); Number.isFinite(v) && v > 0 ? set(v) : set(props.start); };
    watch("start", () => set(props.start, true));
    told();
  };

  /* Links to the files a finished job has left, and a picture of what is drawn. */
  L.exportBar = (parent) => {
    const box = el("div", { class: "lb-tools lb-export", hidden: true, role: "group", "aria-label": "Take it along" });
    parent.append(box);
    return {
      clear() { box.hidden = true; box.replaceChildren(); },
      show(jobId, files) {
        const names = { curves: "Curves (CSV)", table: "Table (CSV)", config: "Settings (JSON)", program: "Python program", cells: "Cells (CSV)", weights: "Weights (safetensors)", card: "Card (JSON)" };
        box.replaceChildren(el("span", {}, "Take it along:"), ...Object.entries(files).map(([kind, name]) => el("a", { class: "lb-small", href: `lightbox/jobs/${encodeURIComponent(jobId)}/files/${encodeURIComponent(name)}`, download: name, "data-kind": kind }, names[kind] || name)));
        box.hidden = false;
      },
    };
  };
})();
