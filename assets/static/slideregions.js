/* Regions of a slide: what is there with its history, and the list under the slide with names, colours, export and import. The tools that draw them are in slidedraw.js. */
(() => {
  "use strict";
  const L = window.Lightbox, S = (L.slide = L.slide || {}), el = L.el;
  const MOST = 20, HISTORY = 200;
  const COLOURS = [[0, 114, 178], [213, 94, 0], [0, 158, 115], [184, 68, 125], [122, 106, 0], [60, 140, 188], [106, 61, 154], [140, 74, 0], [91, 91, 91], [200, 30, 30]];
  const hex = ([r, g, b]) => `#${[r, g, b].map((v) => v.toString(16).padStart(2, "0")).join("")}`;
  const rgb = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
  S.colourOf = (feature) => ((feature.properties.classification || {}).color) || COLOURS[0];

  /* Features are never changed in place: each step of the history is a list of its own. `changed` runs after every step. */
  S.regionStore = (changed) => {
    let past = [], future = [], now = [], chosen = null;
    const settle = () => { if (!now.some((f) => f.id === chosen)) chosen = null; changed(); };
    const step = (next, id = chosen) => { past.push(now); if (past.length > HISTORY) past.shift(); future = []; now = next; chosen = id; settle(); };
    const free = (features) => { const taken = new Set(now.map((f) => f.id)); return features.map((f) => { const one = taken.has(f.id) ? { ...f, id: S.region([[0, 0]], "", []).id } : f; taken.add(one.id); return one; }); };
    return {
      most: MOST,
      get list() { return now; },
      get chosen() { return now.find((f) => f.id === chosen) || null; },
      get canUndo() { return past.length > 0; },
      get canRedo() { return future.length > 0; },
      get room() { return MOST - now.length; },
      choose(id) { if (chosen !== id) { chosen = id; settle(); } },
      add(features) { const made = free(features); step([...now, ...made], made.length === 1 ? made[0].id : chosen); return made; },
      put(feature) { step(now.map((f) => (f.id === feature.id ? feature : f)), feature.id); },
      remove(id) { step(now.filter((f) => f.id !== id)); },
      clear() { if (now.length) step([], null); },
      undo() { if (!past.length) return false; future.push(now); now = past.pop(); settle(); return true; },
      redo() { if (!future.length) return false; past.push(now); now = future.pop(); settle(); return true; },
      /* what a slide leaves behind when another one is opened, and gets back later */
      save: () => ({ past, future, now, chosen }),
      load(saved) { ({ past, future, now, chosen } = saved || { past: [], future: [], now: [], chosen: null }); settle(); },
      colour: (i) => COLOURS[i % COLOURS.length],
      named(points) {
        const taken = new Set(now.map((f) => f.properties.name)); let n = 1; while (taken.has(`Region ${n}`)) n += 1;
        return S.region(points, `Region ${n}`, COLOURS[(n - 1) % COLOURS.length]);
      },
      rename(id, name) {
        const f = now.find((one) => one.id === id); if (!f || !name || f.properties.name === name) return;
        const kind = f.properties.classification; // one of our own is named after its region; a class from elsewhere keeps its name
        this.put({ ...f, properties: { ...f.properties, name, classification: kind.name === f.properties.name ? { ...kind, name } : kind } });
      },
      recolour(id, color) { const f = now.find((one) => one.id === id); if (f) this.put({ ...f, properties: { ...f.properties, classification: { ...f.properties.classification, color } } }); },
    };
  };

  /* The list. view as in slideview.js; store as above. */
  S.regionList = (view, store, host) => {
    const rows = el("ul", { class: "lb-slide-regions", "aria-label": "Regions" }), none = el("p", { class: "lb-hint" }, "No regions yet: draw one with the rectangle or polygon tool, or take what is in view.");
    const button = (text, title, act) => { const b = el("button", { type: "button", class: "lb-small", title }, text); b.onclick = act; return b; };
    const undo = button("Undo", "Take back the last step (Z)", () => step(true)), redo = button("Redo", "Do the last step again (Y)", () => step(false));
    const step = (back) => { if (!(back ? store.undo() : store.redo())) view.say(back ? "Nothing to take back." : "Nothing to do again."); else view.say(`${back ? "Taken back" : "Done again"}: ${count(store.list.length)}.`); };
    const count = (n) => (n === 1 ? "1 region" : `${n} regions`);
    const full = () => { if (store.room > 0) return false; view.say(`There are ${store.most} regions, and no room for more; remove one first.`); return true; };

    const fromView = () => {
      const v = view.v(); if (!v || full()) return;
      const { x, y, width, height } = v.rect, corners = v.rotation % 90 === 0 ? [[x, y], [x + width, y], [x + width, y + height], [x, y + height]] : [[0, 0], [v.width, 0], [v.width, v.height], [0, v.height]].map((p) => v.toSlide(...p)).map(([a, b]) => [Math.min(view.size.width, Math.max(0, a)), Math.min(view.size.height, Math.max(0, b))]);
      if (width < 1 || height < 1) { view.say("Nothing of the slide is in view."); return; }
      const [made] = store.add([store.named(corners)]); view.say(`${made.properties.name} is what was in view: ${S.areaText(S.area(made), view.mpp)}.`);
    };
    const download = () => { S.download(new Blob([S.writeRegions(store.list)], { type: "application/geo+json" }), `${S.stem(view)}_regions.geojson`); view.say(`${count(store.list.length)} written as GeoJSON, as QuPath reads it.`); };
    const file = el("input", { type: "file", accept: ".geojson,.json,application/geo+json,application/json", hidden: true, "aria-label": "GeoJSON file with regions" });
    file.onchange = async () => {
      const one = file.files[0]; file.value = "";
      if (!one || !view.slide) return;
      const slide = view.slide;
      try {
        const { features, note } = S.readRegions(await one.text(), { size: view.size, room: store.room, most: store.most, palette: store.colour });
        if (slide !== view.slide) return;
        store.add(features); view.say(`${count(features.length)} read. ${note}`.trim());
      } catch (refused) { view.say(`Not taken: ${refused.message}`, true); }
    };
    const save = button("Save GeoJSON", "Save all regions as GeoJSON, in QuPath's dialect", download), take = button("Open GeoJSON", "Add the regions of a GeoJSON file, as QuPath exports it", () => file.click());
    const clear = button("Remove all", "Remove all regions", () => { const n = store.list.length; store.clear(); view.say(`${count(n)} removed; Undo brings them back.`); });
    const inView = button("Region of what is in view", "Make a region of what is in view (V)", fromView);

    const row = (f) => {
      const name = f.properties.name, many = f.geometry.type === "MultiPolygon" ? `, ${f.geometry.coordinates.length} parts` : "", holes = S.polygons(f).reduce((n, rings) => n + rings.length - 1, 0);
      const label = el("input", { type: "text", value: name, maxlength: 80, "aria-label": `Name of ${name}` }), paint = el("input", { type: "color", value: hex(S.colourOf(f)), "aria-label": `Colour of ${name}` });
      label.value = name; label.onfocus = () => store.choose(f.id); label.onchange = () => store.rename(f.id, label.value.trim() || name);
      label.onkeydown = (e) => { if (e.key === "Enter") label.blur(); if (e.key === "Escape") { label.value = name; label.blur(); } };
      paint.onchange = () => store.recolour(f.id, rgb(paint.value));
      const pick = button("Show", `Show ${name}`, () => { store.choose(f.id); view.showRegion(f); }); pick.setAttribute("aria-label", `Show ${name}`); pick.setAttribute("aria-pressed", String(f === store.chosen));
      const gone = button("×", `Remove ${name}`, () => { store.remove(f.id); view.say(`${name} removed; Undo brings it back.`); }); gone.setAttribute("aria-label", `Remove ${name}`);
      return el("li", { "data-id": f.id, "data-chosen": String(f === store.chosen) }, paint, label, el("span", {}, `${S.areaText(S.area(f), view.mpp)}${many}${holes ? `, ${holes === 1 ? "1 hole" : `${holes} holes`}` : ""}`), pick, gone);
    };
    let listed = null, chosenOne = null, scale = null;
    const draw = () => {
      undo.disabled = !store.canUndo; redo.disabled = !store.canRedo; save.disabled = clear.disabled = !store.list.length; none.hidden = Boolean(store.list.length);
      if (listed === store.list && scale === view.mpp) { // only another one is chosen: the field with the focus stays
        if (chosenOne !== store.chosen) for (const li of rows.children) { const on = store.chosen && li.dataset.id === store.chosen.id; li.dataset.chosen = String(Boolean(on)); li.querySelector("[aria-pressed]").setAttribute("aria-pressed", String(Boolean(on))); }
        chosenOne = store.chosen; return;
      }
      const held = document.activeElement && rows.contains(document.activeElement) ? [document.activeElement.closest("li").dataset.id, [...document.activeElement.closest("li").children].indexOf(document.activeElement)] : null;
      listed = store.list; chosenOne = store.chosen; scale = view.mpp; rows.replaceChildren(...store.list.map(row));
      if (held) { const li = [...rows.children].find((one) => one.dataset.id === held[0]); (li ? li.children[held[1]] : rows.children.length ? rows.lastChild.children[1] : inView).focus({ preventScroll: true }); }
    };
    host.append(el("div", { class: "lb-tools" }, inView, undo, redo, save, take, clear, file), none, rows);
    return { draw, step, fromView, full };
  };
})();
