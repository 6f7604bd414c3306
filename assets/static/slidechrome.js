/* Everything around the slide that can be pressed or read: tools, magnifications, rotation, scale bar, status, help. No logic of the slide; slideview.js tells it what to do and show. */
(() => {
  "use strict";
  const L = window.Lightbox, S = (L.slide = L.slide || {}), el = L.el;
  const JUMPS = [1, 5, 10, 20, 40], NS = "http://www.w3.org/2000/svg";
  const ICONS = {
    hand: "M7 10V4.6a1.1 1.1 0 0 1 2.2 0V9m0-1V3.6a1.1 1.1 0 0 1 2.2 0V9m0-.6V4.4a1.1 1.1 0 0 1 2.2 0V11m0-3.4a1.1 1.1 0 0 1 2.2 0V13c0 3-2 4.6-4.6 4.6-2.2 0-3.3-.8-4.4-2.6L3.6 11a1.1 1.1 0 0 1 1.9-1.2L7 12",
    rectangle: "M3.5 5h13v10h-13z", polygon: "M5 16 3.5 7.5 10 3l6.5 4L14 15z", edit: "M4 4h4v4H4zM12 12h4v4h-4zM6 8v6h6M8 6h6v6",
    left: "M6.2 6.6A5.5 5.5 0 1 1 4.6 11M6.5 2.8v4h-4", right: "M13.8 6.6A5.5 5.5 0 1 0 15.4 11M13.5 2.8v4h4",
    overview: "M3 4h14v12H3zM10.5 5.5h5v4h-5z", full: "M3 8V3h5M12 3h5v5M17 12v5h-5M8 17H3v-5", link: "M8.5 11.5a3 3 0 0 0 4.2 0l2.8-2.8a3 3 0 0 0-4.2-4.2L10 5.8M11.5 8.5a3 3 0 0 0-4.2 0l-2.8 2.8a3 3 0 0 0 4.2 4.2l1.3-1.3",
    picture: "M3 4h14v12H3zM3.5 14l4-4.5 3 3 2.5-2.5 3.5 4M12.5 7.5h.01", help: "M7.5 7.6a2.6 2.6 0 1 1 3.6 2.4c-.7.3-1.1.8-1.1 1.7M10 14.8v.1", plus: "M10 4.5v11M4.5 10h11", minus: "M4.5 10h11",
  };
  const icon = (name) => { const svg = document.createElementNS(NS, "svg"), path = document.createElementNS(NS, "path"); for (const [k, v] of Object.entries({ viewBox: "0 0 20 20", width: 18, height: 18, fill: "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" })) svg.setAttribute(k, v); path.setAttribute("d", ICONS[name]); svg.append(path); return svg; };
  const TOOLS = [["hand", "Move", "Move the slide; click a spot (H)"], ["rectangle", "Rectangle", "Draw a rectangle (B)"], ["polygon", "Polygon", "Draw a polygon (P)"], ["edit", "Edit", "Change regions (E)"]];
  const KEYS = [
    ["Arrows", "move; with Shift half a screen"], ["+ and −, wheel, pinch", "zoom"], ["0", "whole slide"], ["R, Shift + R", "turn by 90°, back"], ["[ and ]", "turn by 5°"],
    ["F", "full screen"], ["N", "overview on or off"], ["H, B, P, E", "move, rectangle, polygon, edit"], ["Enter", "set a corner at the cross"], ["Space + drag", "move while drawing"],
    ["V", "region of what is in view"], ["C, Shift + C", "next, previous corner of the chosen region"], ["Delete", "remove corner or region"], ["Z, Y", "take back, do again"], ["Escape", "give up, leave"], ["?", "this help"],
  ];

  /* act: {tool(name), jump(m|"fit"), zoom(factor), turn(degrees), turnTo(degrees), overview(), full(), link(), picture(), mpp(µm), retry()} */
  S.chrome = (element, props, act) => {
    const tipped = (name, title, f, className = "lb-slide-icon") => { const b = el("button", { type: "button", class: className, title, "aria-label": title }, icon(name)); b.onclick = f; return b; };
    const tools = TOOLS.map(([key, text, title]) => { const b = el("button", { type: "button", title, "aria-pressed": "false", "data-tool": key }, icon(key), el("span", {}, text)); b.onclick = () => act.tool(key); return b; });
    const jumps = JUMPS.map((m) => { const b = el("button", { type: "button", "data-jump": m }, `${m}×`); b.onclick = () => act.jump(m); return b; });
    const own = el("button", { type: "button", "data-jump": "own", title: "One pixel of the slide on one of the screen" }, "1 : 1"), fit = el("button", { type: "button", "data-jump": "fit", title: "The whole slide (0)" }, "Fit");
    own.onclick = () => act.jump("own"); fit.onclick = () => act.jump("fit");
    const angle = el("input", { type: "range", min: -180, max: 180, step: 1, value: 0, "aria-label": "Rotation in degrees" }), degrees = el("output", {}, "0°");
    angle.oninput = () => act.turnTo(+angle.value);
    const overview = tipped("overview", "Overview (N)", () => act.overview()), full = tipped("full", "Full screen (F)", () => act.full()), help = tipped("help", "Keys and gestures (?)", () => showHelp(sheet.hidden));
    overview.setAttribute("aria-pressed", "true"); full.setAttribute("aria-pressed", "false"); help.setAttribute("aria-expanded", "false");
    const bar = el("div", { class: "lb-slide-bar" },
      el("div", { class: "lb-segment lb-slide-tools", role: "group", "aria-label": "Tool" }, ...tools),
      el("div", { class: "lb-segment lb-slide-jumps", role: "group", "aria-label": "Magnification" }, ...jumps, own, fit),
      el("div", { class: "lb-slide-turn", role: "group", "aria-label": "Rotation" }, tipped("left", "Turn by 90° to the left (Shift + R)", () => act.turn(-90)), angle, degrees, tipped("right", "Turn by 90° to the right (R)", () => act.turn(90))),
      el("div", { class: "lb-slide-more" }, overview, full, tipped("link", "Copy a link to this view", () => act.link()), tipped("picture", "Save this view as PNG", () => act.picture()), help));

    const osd = el("div", { class: "lb-slide-osd" }), state = el("div", { class: "lb-slide-state", role: "status", hidden: true }, el("p", {}), el("button", { type: "button", class: "lb-small", hidden: true }, "Try again"));
    const zoom = el("div", { class: "lb-slide-zoom" }, tipped("plus", "Zoom in (+)", () => act.zoom(1.6)), tipped("minus", "Zoom out (−)", () => act.zoom(1 / 1.6)));
    const length = el("span", {}), rule = el("i", {}), magnified = el("b", {}), scale = el("div", { class: "lb-slide-scale", hidden: true }, el("div", {}, length, rule), magnified);
    const corner = el("div", { class: "lb-slide-corner" }), boxes = el("ul", { class: "lb-slide-boxes", hidden: true, "aria-label": "Fields on the slide" }); corner.append(boxes);
    const keys = el("dl", {}), addKey = (k, t) => keys.append(el("dt", {}, k), el("dd", {}, t)); KEYS.forEach(([k, t]) => addKey(k, t));
    const sheet = el("div", { class: "lb-slide-help", role: "dialog", "aria-label": "Keys and gestures", tabindex: "-1", hidden: true }, el("h4", {}, "Keys and gestures"), el("p", {}, "Keys work once the slide has the focus: click it, or reach it with Tab."), keys);
    const closer = el("button", { type: "button", class: "lb-small" }, "Close"); closer.onclick = () => showHelp(false); sheet.append(closer);
    let before = null; // where the focus goes back to
    const showHelp = (on) => {
      if (sheet.hidden === !on) return;
      const within = sheet.contains(document.activeElement);
      if (on) before = root.contains(document.activeElement) ? document.activeElement : help;
      sheet.hidden = !on; help.setAttribute("aria-expanded", String(on));
      if (on) sheet.focus({ preventScroll: true }); else if (within) before.focus({ preventScroll: true });
    };
    sheet.onkeydown = (e) => { if (e.key === "Escape") { e.stopPropagation(); showHelp(false); } };
    const stage = el("div", { class: "lb-slide-stage" }, osd, zoom, scale, corner, state, sheet);

    const place = el("span", { class: "lb-slide-place" }), path = el("span", { class: "lb-slide-path" }), tiles = el("span", { class: "lb-slide-tiles" }), again = el("button", { type: "button", class: "lb-small", hidden: true }, "Load again");
    again.onclick = () => act.retry();
    const micron = el("input", { type: "number", min: 0.01, max: 100, step: "any", placeholder: "0.5", "aria-label": "Micrometres per pixel" }), unknown = el("form", { class: "lb-slide-mpp", hidden: true }, el("label", {}, "The file does not say how large a pixel is: ", micron, " µm "), el("button", { class: "lb-small", type: "submit" }, "Set"));
    unknown.noValidate = true; unknown.onsubmit = (e) => { e.preventDefault(); act.mpp(micron.value); };
    const note = el("p", { class: "lb-slide-note" }, props.note || ""), say = el("p", { class: "lb-hint lb-slide-say", role: "status" });
    const regions = el("div", {}), summary = el("summary", {}, "Regions"), fold = el("details", { class: "lb-slide-fold", open: true }, summary, regions), under = el("div", { class: "lb-slide-under" }), panel = el("div", { class: "lb-slide-panel" });
    const main = el("div", { class: "lb-slide-main" }, stage, note, el("div", { class: "lb-slide-status" }, place, path, tiles, again), unknown, say, fold, under);
    const root = el("div", { class: "lb-slide", "data-state": "empty" }, bar, el("div", { class: "lb-slide-body" }, main, panel));
    element.replaceChildren(root);

    return {
      root, stage, osd, panel, under, regions, corner, showHelp, addKey,
      helpOpen: () => !sheet.hidden,
      enable(on) { bar.querySelectorAll("button, input").forEach((b) => { if (b !== help) b.disabled = !on; }); zoom.hidden = scale.hidden = !on; fold.hidden = !on; },
      tool: (name) => tools.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.tool === name))),
      overview: (on) => overview.setAttribute("aria-pressed", String(on)),
      full: (on) => { full.setAttribute("aria-pressed", String(on)); root.classList.toggle("lb-slide-whole", on); },
      jumps(objective, least, most) { for (const b of jumps) { const at = objective ? +b.dataset.jump / objective : NaN; b.hidden = !objective; b.disabled = !(at >= least * 0.999 && at <= most * 1.001); b.title = at > 1.001 ? `Larger than the slide's own pixels (${+objective.toPrecision(3)}×)` : ""; } own.hidden = Boolean(objective); },
      at(m) { jumps.forEach((b) => b.setAttribute("aria-pressed", String(Boolean(m) && Math.abs(+b.dataset.jump / m - 1) < 0.01))); },
      scale(made, text) { rule.style.width = `${made.px}px`; if (length.textContent !== made.text) length.textContent = made.text; if (magnified.textContent !== text) magnified.textContent = text; },
      angle(v) { const r = Math.round(((v + 540) % 360) - 180); if (+angle.value !== r) angle.value = r; degrees.textContent = `${r}°`; },
      place: (text) => { place.textContent = text; },
      path(facts) { path.textContent = facts ? `${facts.path === "native" ? "Native tiles" : "Decoded tiles"}${facts.reason ? `: ${facts.reason}.` : ""}` : ""; path.dataset.path = facts ? facts.path : ""; },
      tiles(text, kind) { tiles.textContent = text; tiles.dataset.kind = kind; again.hidden = kind !== "failed"; },
      mpp(show, value) { unknown.hidden = !show; if (value && document.activeElement !== micron) micron.value = value; unknown.firstChild.firstChild.textContent = value ? "You said how large a pixel is: " : "The file does not say how large a pixel is: "; },
      /* a sentence over the slide; retry: what the button does */
      state(text, retry = null) { state.hidden = !text; state.firstChild.textContent = text || ""; state.lastChild.hidden = !retry; state.lastChild.onclick = retry; },
      say(text, bad = false) { say.textContent = text || ""; say.classList.toggle("lb-bad", bad); },
      count: (n) => { summary.textContent = n ? `Regions (${n})` : "Regions"; },
      boxes(list) { boxes.hidden = !list.length; boxes.replaceChildren(...list.map(([label, colour]) => { const i = el("i", {}); i.style.borderColor = colour; return el("li", {}, i, label); })); },
      /* where the clipboard is closed to the page, the address is shown for copying by hand */
      address(url) { const field = el("input", { type: "text", readonly: true, value: url, class: "lb-slide-address", "aria-label": "Address of this view" }); say.replaceChildren("Copy this address: ", field); field.focus(); field.select(); },
    };
  };
})();
