/* The picture of the lesson: how long a SOFIM step is for a gradient of a given size, beside plain momentum's. Two sliders, no server. */
(() => {
  "use strict";
  const L = window.Lightbox, el = L.el;

  L.stepCurve = (element) => {
    const plots = el("div", {}), words = el("p", { class: "lb-hint", role: "status" }), knobs = el("div", { class: "lb-grid2" });
    element.replaceChildren(el("div", {}, plots, knobs, words));
    const plot = new L.Plot(plots, { title: "Length of a step, by the size of the averaged gradient", xLabel: "size of the averaged gradient ‖M̂‖", yLabel: "step length ‖Δw‖", height: 240, cut: false, xMin: 0, yMin: 0 });
    let eta = 0.1, rho = 0.5;
    const knob = (name, value, set) => {
      const out = el("output", {}, L.num(value)), range = el("input", { type: "range", min: -2, max: 1, step: 0.02, value: Math.log10(value), "aria-label": name });
      range.oninput = () => { const v = +(10 ** +range.value).toPrecision(2); out.textContent = L.num(v); set(v); draw(); };
      return el("label", { class: "lb-tools" }, `${name} `, range, out);
    };
    const draw = () => {
      const top = Math.sqrt(rho), xs = [], sofim = [], momentum = [], far = 5 * top;
      for (let i = 0; i <= 160; i += 1) { const s = (far * i) / 160; xs.push(s); sofim.push((eta * s) / (rho + s * s)); momentum.push(Math.min((eta * s) / rho, eta / top)); }
      plot.clear(); plot.line("sofim", { label: "SOFIM", colour: 0 }); plot.append("sofim", xs, sofim);
      plot.line("momentum", { label: "momentum with rate η/ρ", colour: 3 }); const k = momentum.findIndex((m) => m >= eta / top); plot.append("momentum", xs.slice(0, k + 1), momentum.slice(0, k + 1));
      plot.marks = [{ x: top, label: `√ρ = ${L.num(top)}` }, { y: eta / (2 * top), label: `longest possible step η/(2√ρ) = ${L.num(eta / (2 * top))}` }];
      plot.later();
      words.textContent = `Blue: SOFIM. Dashed: momentum with learning rate η/ρ = ${L.num(eta / rho)}, which SOFIM follows for small gradients and leaves as they near √ρ.`;
    };
    knobs.append(knob("η", eta, (v) => { eta = v; }), knob("ρ", rho, (v) => { rho = v; }));
    draw();
  };
})();
